"""Parameters are read strictly, and every wrong one is named."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain.errors import UnknownOrder
from orders.domain.values import Side, Status
from orders.parameters import Asked, Parameters, existing_id, parsed_time
from orders.request_errors import InvalidParameters

ID = "0190163d-8694-739b-aea5-966c26f8ad91"


def value(read: Callable[[Parameters], Any], text: str) -> Any:
    given = Parameters([("x", text)])
    found = read(given)
    given.check()
    return found


READERS: dict[str, Callable[[Parameters], Any]] = {
    "number": lambda given: given.number("x", 1, 1000),
    "position": lambda given: given.position("x"),
    "status": lambda given: given.one_of("x", Status),
    "side": lambda given: given.side("x"),
    "flag": lambda given: given.flag("x"),
    "symbol": lambda given: given.symbol("x"),
    "key": lambda given: given.client_order_id("x"),
    "id": lambda given: given.order_id("x"),
    "time": lambda given: given.time("x"),
    "position or time": lambda given: given.position_or_time("x"),
}

GOOD: list[tuple[str, str, Any]] = [
    ("number", "1", 1),
    ("number", "1000", 1000),
    ("position", "0", 0),
    ("status", "Executed", Status.EXECUTED),
    ("side", "sell", Side.SELL),
    ("side", "1", Side.BUY),
    ("side", "-1", Side.SELL),
    ("flag", "true", True),
    ("flag", "false", False),
    ("symbol", "US0378331005", "US0378331005"),
    ("key", "~!key", "~!key"),
    ("time", "2026-11-21T09:30:00Z", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
    ("time", "2026-11-21T10:30:00.5+01:00", datetime(2026, 11, 21, 9, 30, 0, 500_000, tzinfo=UTC)),
    ("time", "2026-11-21T10:30:00 01:00", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
    ("position or time", "17", 17),
    ("position or time", "2026-11-21T09:30:00Z", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
]
BAD: list[tuple[str, str]] = [
    *(("number", text) for text in ("", "0", "1001", "-1", "1.0", "1e2", " 1", "+1", "١", "9" * 400)),
    *(("position", text) for text in ("", "-1", "1.5", "0x1", "9" * 20)),
    *(("status", text) for text in ("", "placed", "New")),
    *(("side", text) for text in ("", "Buy", "2")),
    *(("flag", text) for text in ("", "1", "True")),
    *(("symbol", text) for text in ("", "A B", "x" * 33, "é", "a\n")),
    *(("key", text) for text in ("", "a b", "x" * 129, "ü", "a\n")),
    *(("id", text) for text in ("", "7", ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", f"{ID}\n")),
    *(("time", text) for text in ("", "2026-11-21", "2026-11-21T09:30:00", "1732181400", "2026-13-21T09:30:00Z")),
    *(("position or time", text) for text in ("", "yesterday", "-1", "9" * 30)),
]


@pytest.mark.parametrize(("kind", "text", "expected"), GOOD)
def test_a_good_value_is_read(kind: str, text: str, expected: Any) -> None:
    assert value(READERS[kind], text) == expected


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_a_bad_value_is_refused_by_name(kind: str, text: str) -> None:
    with pytest.raises(InvalidParameters, match=r"^Parameter `x` must be ") as refused:
        value(READERS[kind], text)
    assert [error.field for error in refused.value.errors] == ["x"]


@given(st.sampled_from(sorted(READERS)), st.text(max_size=40))
def test_no_text_breaks_a_reader(kind: str, text: str) -> None:
    given = Parameters([("x", text)])
    READERS[kind](given)
    assert {error.field for error in given.errors} <= {"x"}


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_time_that_we_print_is_read_again(time: datetime) -> None:
    assert parsed_time(time.isoformat()) == time


def test_all_that_is_wrong_is_listed_at_once() -> None:
    given = Parameters([("limit", "0"), ("sort", "up"), ("side", "buy"), ("side", "sell")])
    given.number("limit", 1, 10)
    given.side("side")
    with pytest.raises(InvalidParameters) as refused:
        given.check()
    assert [(error.field, error.message) for error in refused.value.errors] == [
        ("side", "Parameter `side` is given more than once"),
        ("limit", "Parameter `limit` must be a whole number from 1 to 10"),
        ("sort", "Parameter `sort` is not known here"),
    ]


def test_what_is_no_id_names_no_order() -> None:
    assert str(existing_id(ID.upper())) == ID
    with pytest.raises(UnknownOrder, match=r"^Order with ID: 7 does not exist$"):
        existing_id("7")


def test_a_read_waits_for_five_seconds_unless_it_says_otherwise() -> None:
    assert Parameters([]).asked() == Asked(min_position=None, wait_ms=5000)
    assert Parameters([("min_position", "7"), ("wait_ms", "0")]).asked() == Asked(min_position=7, wait_ms=0)


def test_a_parameter_that_a_read_cannot_have_is_refused_with_the_reason() -> None:
    given = Parameters([("as_of", "7")])
    given.absent("as_of", "there is no past here")
    given.absent("not_given", "nor there")
    with pytest.raises(InvalidParameters, match=r"^there is no past here$"):
        given.check()
