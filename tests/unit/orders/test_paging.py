"""Cursors come back as they went out, and only with their filters."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain.values import Side, Status
from orders.paging import cursor_of, place_of, text_place_of
from projections.queries import OrdersQuery, TradesQuery

FILTERS = OrdersQuery(account="local", status=Status.PLACED)


@given(st.integers(0, 2**63 - 1))
def test_a_cursor_leads_back_to_its_place(place: int) -> None:
    cursor = cursor_of(place, FILTERS)
    assert place_of(cursor, OrdersQuery(account="local", status=Status.PLACED)) == place
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=40))
def test_a_place_may_be_a_text(place: str) -> None:
    cursor = cursor_of(place, FILTERS)
    assert text_place_of(cursor, FILTERS) == place
    with pytest.raises(ValueError, match="no cursor"):
        place_of(cursor, FILTERS)
    with pytest.raises(ValueError, match="no cursor"):
        text_place_of(cursor_of(7, FILTERS), FILTERS)


@pytest.mark.parametrize(
    "others",
    [
        OrdersQuery(account="other", status=Status.PLACED),
        OrdersQuery(account="local"),
        OrdersQuery(account="local", status=Status.PLACED, side=Side.BUY),
        TradesQuery(account="local"),
    ],
)
def test_a_cursor_is_refused_with_other_filters(others: object) -> None:
    with pytest.raises(ValueError, match="other filters"):
        place_of(cursor_of(7, FILTERS), others)


@given(st.text(max_size=300) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        place_of(text, FILTERS)


def test_a_place_that_is_no_text_is_no_cursor() -> None:
    with pytest.raises(ValueError, match="no cursor"):
        text_place_of(urlsafe_b64encode(b'["\xff","x"]').decode(), FILTERS)


@pytest.mark.parametrize("place", ["-1", str(2**63), "1.5", '"7"', "null"])
def test_a_forged_place_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        place_of(urlsafe_b64encode(f'[{place},"x"]'.encode()).decode(), FILTERS)
