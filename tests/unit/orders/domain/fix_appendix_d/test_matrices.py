"""FIX 4.4 volume 4 appendix D, order state change matrices, as an executable table.

A test's id has the matrix's number in FIX 4.2 (D1 to D36), where it has one, and that in FIX 4.4 (A.1.a to L). A matrix
with two possible paths, or one that our own states split, is several rows. `differs` in a row says where this service
does otherwise on purpose; `DOES_NOT_APPLY` says which matrices have no row, and why. The order status of FIX is that of
the report after the message; Pending Cancel and Pending Replace, reports of their own there, are our request events.
"""

import re

import pytest

from tests.support.fix_matrix import Row, play
from tests.unit.orders.domain.fix_appendix_d.every_row import DOES_NOT_APPLY, ROWS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_order_changes_state_as_in_the_matrix(row: Row) -> None:
    play(row)


def test_no_two_rows_have_one_id() -> None:
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids))


def test_every_matrix_of_the_appendix_is_a_row_or_does_not_apply_and_says_why() -> None:
    refs = {row.ref for row in ROWS}
    assert refs.isdisjoint(DOES_NOT_APPLY)
    numbers = [int(number) for ref in refs | DOES_NOT_APPLY.keys() for number in re.findall(r"^D(\d+)-", ref)]
    assert sorted(numbers) == list(range(1, 37))
    assert all(DOES_NOT_APPLY.values())
