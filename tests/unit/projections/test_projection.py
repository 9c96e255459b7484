"""A projection's name is the name of schemas, which must be its own."""

from collections.abc import Callable

import pytest

from orders.eventstore.sql import load
from projections import swap
from projections.positions import POSITIONS, step
from projections.projection import MAX_IDENTIFIER, SETS, Projection

SQL = load("projections", "positions.sql")
LONGEST = MAX_IDENTIFIER - len("projection_") - len("_shadow")


def named(name: str) -> Projection:
    return Projection(name=name, sql=SQL, step=step)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        *((f"trades_{one}", "another projection") for one in SETS),
        ("x" * (LONGEST + 1), "too long"),
        ("", "letters"),
        ("Trades", "letters"),
        ("7days", "letters"),
        ("my trades", "letters"),
        ("trades;", "letters"),
        ("trades\n", "letters"),
    ],
)
def test_a_name_that_is_no_schemas_own_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        named(name)


@pytest.mark.parametrize("name", ["verify", "old_trades", "vwap_5", "x" * LONGEST])
def test_other_names_are_taken(name: str) -> None:
    assert named(name).schema == f"projection_{name}"


@pytest.mark.parametrize("schema_of", [swap.shadow_of, swap.kept_of, swap.as_of])
def test_every_set_of_tables_beside_the_live_ones_is_known_by_its_ending(
    schema_of: Callable[[Projection], str],
) -> None:
    assert schema_of(POSITIONS).removeprefix(f"{POSITIONS.schema}_") in SETS
