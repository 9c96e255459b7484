"""Identifiers that never change, exact arithmetic, and the words of FIX."""

from decimal import Decimal, Inexact
from uuid import UUID, uuid5

import pytest

from orders.domain.values import EXACT, ORDER_NAMESPACE, Evidence, OrdStatus, Status, order_id_for_key, rounded_average


def test_an_orders_id_is_derived_from_account_and_key_for_ever() -> None:
    assert UUID("5f0c9a51-3c1e-5d0a-9d55-6a2f4b7f8e01") == ORDER_NAMESPACE
    assert order_id_for_key("local", "key-1") == UUID("4667f06e-e96a-5313-864c-8a4d49210ff5")


def test_it_is_a_uuid5_over_account_unit_separator_and_key() -> None:
    assert order_id_for_key("desk", "a") == uuid5(ORDER_NAMESPACE, "desk\x1fa")
    assert order_id_for_key("desk", "a").version == 5


def test_a_key_is_taken_literally() -> None:
    ids = {order_id_for_key("desk", key) for key in ("a", "A", " a", "a ", "%61", "a\x1f")}
    assert len(ids) == 6


def test_each_account_has_its_own_keys() -> None:
    assert order_id_for_key("desk", "1a") != order_id_for_key("desk1", "a")


@pytest.mark.parametrize(
    ("notional", "filled", "average"),
    [
        ("5", 3, "1.66666667"),
        ("1", 3, "0.33333333"),
        ("3.3", 3, "1.10000000"),
        ("0.000000005", 1, "0E-8"),
        ("0.000000015", 1, "2E-8"),
        ("0.000000025", 1, "2E-8"),
        ("0.00000002500000001", 1, "3E-8"),
        ("1E+30", 1, "1E+30"),
        ("999999999999999999000000000", 1_000_000_000, "999999999999999999"),
    ],
)
def test_an_average_is_rounded_half_even_to_8_places(notional: str, filled: int, average: str) -> None:
    rounded = rounded_average(Decimal(notional), filled)
    assert rounded == Decimal(average)
    assert rounded is not None
    assert rounded.as_tuple().exponent == -8


@pytest.mark.parametrize("filled", [0, -1])
def test_nothing_filled_has_no_average(filled: int) -> None:
    assert rounded_average(Decimal(0), filled) is None


def test_arithmetic_raises_rather_than_rounds() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))
    with pytest.raises(Inexact):
        EXACT.add(Decimal("1E+200"), Decimal("1E-1"))


def test_the_statuses_are_those_of_the_contract() -> None:
    assert list(Status) == ["Placed", "Executed", "Canceled", "Rejected", "Expired"]
    assert list(OrdStatus) == [
        "PendingCancel",
        "PendingReplace",
        "Filled",
        "Canceled",
        "Expired",
        "Rejected",
        "PartiallyFilled",
        "New",
        "PendingNew",
    ]
    assert set(Evidence) == {
        "venue_answer",
        "venue_report",
        "venue_query",
        "venue_cannot",
        "never_placed",
        "never_sent",
        "operator",
    }
