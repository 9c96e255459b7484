"""The sums over fills are the same in whatever order their reports come, and however often."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import permutations

import pytest

from orders.domain.executions import NO_EXECUTIONS, Executions
from tests.support.known_executions import known_executions

Report = Callable[[Executions], Executions]


def fill(exec_id: str, quantity: int, price: str = "1.10") -> Report:
    return lambda executions: executions.filled(exec_id, quantity, Decimal(price))


def bust(exec_id: str, ref: str) -> Report:
    return lambda executions: executions.busted(exec_id, ref)


def correction(exec_id: str, ref: str, quantity: int, price: str = "1.10") -> Report:
    return lambda executions: executions.corrected(exec_id, ref, quantity, Decimal(price))


def after(reports: Iterable[Report]) -> Executions:
    executions = NO_EXECUTIONS
    for report in reports:
        executions = report(executions)
    return executions


HISTORIES: dict[str, tuple[tuple[Report, ...], int, str]] = {
    "nothing": ((), 0, "0"),
    "fills": ((fill("A", 3, "1.5"), fill("B", 4, "2")), 7, "12.5"),
    "a fill and its bust": ((fill("A", 3), bust("X", "A")), 0, "0"),
    "a bust of one of two": ((fill("A", 3), fill("B", 4, "2"), bust("X", "A")), 4, "8"),
    "a correction": ((fill("A", 3), correction("B", "A", 5, "2")), 5, "10"),
    "a correction of a correction": (
        (fill("A", 3), correction("B", "A", 5), correction("C", "B", 6, "2")),
        6,
        "12",
    ),
    "a corrected fill, then busted": ((fill("A", 3), correction("B", "A", 5), bust("X", "B")), 0, "0"),
    "two busts of one fill": ((fill("A", 3), bust("X", "A"), bust("Y", "A"), fill("B", 1, "1")), 1, "1"),
    "a bust of what never came": ((fill("A", 3, "1"), bust("X", "?")), 3, "3"),
    "a correction of what never came": ((correction("B", "?", 5, "2"),), 5, "10"),
    "a bust and a correction of one fill": ((fill("A", 3), correction("B", "A", 5, "1"), bust("X", "A")), 5, "5"),
    "a correction to nothing": ((fill("A", 3), correction("B", "A", 0, "1")), 0, "0"),
}


@pytest.mark.parametrize(("reports", "quantity", "notional"), HISTORIES.values(), ids=HISTORIES)
def test_the_sums_are_the_same_in_every_order(reports: tuple[Report, ...], quantity: int, notional: str) -> None:
    for order in permutations(reports):
        executions = after(order)
        assert (executions.quantity, executions.notional) == (quantity, Decimal(notional))


@pytest.mark.parametrize(("reports", "quantity", "notional"), HISTORIES.values(), ids=HISTORIES)
def test_repeats_change_nothing(reports: tuple[Report, ...], quantity: int, notional: str) -> None:
    executions = after([*reports, *reversed(reports), *reports])
    assert (executions.quantity, executions.notional) == (quantity, Decimal(notional))
    assert executions == after(reports)


def test_an_execution_is_known_when_the_venue_sent_it_not_when_it_was_only_referred_to() -> None:
    executions = after([bust("X", "A")])
    assert executions.knows("X")
    assert not executions.knows("A")
    assert after([bust("X", "A"), fill("A", 3)]).knows("A")


def test_a_busted_fill_keeps_what_it_was() -> None:
    silent = after([fill("A", 3, "1.5"), bust("X", "A")]).get("A")
    assert silent is not None
    assert (silent.quantity, silent.price, silent.counts, silent.reported) == (3, Decimal("1.5"), False, True)


def test_sums_are_exact_over_many_fills_of_awkward_prices() -> None:
    executions = after(fill(f"F{n}", 1_000_000_000, "0.123456789012345678") for n in range(1_000))
    assert executions.notional == Decimal("123456789012.345678000")


def test_what_was_known_before_is_not_changed() -> None:
    before = after([fill("A", 3, "1")])
    before.filled("B", 4, Decimal(1))
    before.busted("X", "A")
    before.corrected("C", "A", 9, Decimal(1))
    assert before == after([fill("A", 3, "1")])
    assert Executions() == NO_EXECUTIONS


KNOWN = (("F", range(1, 301)), ("X", range(3, 301, 3)), ("C", range(1, 301, 3)))


def test_hundreds_of_fills_busts_and_corrections_add_up_in_whatever_order_they_come() -> None:
    reports = [fill(f"F{n}", n, "2") for n in range(1, 301)]
    reports += [bust(f"X{n}", f"F{n}") for n in range(3, 301, 3)]
    reports += [correction(f"C{n}", f"F{n}", 1, "2") for n in range(1, 301, 3)]
    left = sum(range(2, 301, 3)) + 100
    for order in (reports, reports[::-1], [*reports[1::2], *reports[::2], *reports]):
        executions = after(order)
        assert (executions.quantity, executions.notional) == (left, Decimal(2 * left))
        assert known_executions(executions).keys() == {f"{kind}{n}" for kind, numbers in KNOWN for n in numbers}
        assert (executions.counts("F2"), executions.counts("F3"), executions.counts("none")) == (True, False, False)


def test_one_more_fill_copies_a_few_entries_however_many_there_are() -> None:
    executions, copied = NO_EXECUTIONS, 0
    for number in range(10_000):
        before = executions.layers
        executions = fill(f"F{number}", 1)(executions)
        copied += sum(len(layer) for layer in executions.layers if not any(layer is kept for kept in before))
    assert copied < 40 * 10_000
    assert len(executions.layers) < 10
    assert executions.held == executions.quantity == 10_000


def test_what_comes_later_leaves_earlier_executions_as_they_are() -> None:
    first = after(fill(f"F{n}", 1) for n in range(40))
    one, other = fill("A", 5)(first), bust("B", "F3")(first)
    assert (first.quantity, one.quantity, other.quantity) == (40, 45, 39)
    assert (first.knows("A"), other.knows("A"), one.knows("B")) == (False, False, False)
    assert (first.counts("F3"), one.counts("F3"), other.counts("F3")) == (True, True, False)
