"""What the comparison of log and journal finds: each lie that is planted in one of them, and nothing in the truth."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from orders.domain import events as e
from orders.domain.values import Evidence
from simulated_exchange import protocol as x
from simulated_exchange.entries import Entry
from tests.campaigns.agreement import Agreement, compare, parts
from tests.support.order_events import (
    ORDER_ID,
    REPLACE_ID,
    accepted,
    canceled,
    executed,
    parked,
    placed,
    rejected,
    replace_requested,
    replaced,
    started,
)

OURS = str(ORDER_ID)
ELSE = "0192d3a0-0000-7000-8000-0000000000aa"
HERE = (
    placed(10, limit="1.10"),
    started(),
    accepted(),
    executed("E-1", 4),
    replace_requested(12, "1.20"),
    replaced(12, "1.20"),
    executed("E-2", 8, price="1.15"),
)


def report(kind: type[x.Report], order_id: str = OURS, **fields: Any) -> x.AnyReport:
    return kind(seq=1, at=0, order_id=order_id, venue_order_id="V-1", **fields)  # type: ignore[return-value]


def at_venue(order_id: str = OURS, quantity: int = 10, price: str | None = "1.10000") -> x.AnyReport:
    terms: dict[str, Any] = {"symbol": "EURUSD", "side": "buy", "type": "limit", "time_in_force": "gtc"}
    return report(x.AcceptedReport, order_id, quantity=quantity, limit_price=price, **terms)


def filled(exec_id: str, quantity: int, total: int, leaves: int, price: str = "1.10000") -> x.AnyReport:
    amounts: dict[str, Any] = {"quantity": quantity, "filled": total, "leaves": leaves}
    return report(x.FilledReport, exec_id=exec_id, price=price, liquidity="book", **amounts)


def replaced_there(quantity: int = 12, leaves: int = 8, price: str = "1.20000") -> x.AnyReport:
    terms: dict[str, Any] = {"quantity": quantity, "limit_price": price, "filled": 4, "leaves": leaves}
    return report(x.ReplacedReport, request_id=str(REPLACE_ID), base=OURS, **terms)


THERE = (at_venue(), filled("E-1", 4, 4, 6), replaced_there(), filled("E-2", 8, 12, 0, "1.15000"))


def found_in(here: tuple[e.OrderEvent, ...], there: tuple[x.AnyReport, ...]) -> Agreement:
    found = Agreement()
    entries = [Entry(n, 0, x.HouseFill(OURS), [each]) for n, each in enumerate(there, start=1)]
    compare([(ORDER_ID, list(here))] if here else [], entries, found)
    return found


def names(here: tuple[e.OrderEvent, ...], there: tuple[x.AnyReport, ...]) -> set[str]:
    return set(found_in(here, there).findings.counts)


def test_an_order_that_both_sides_tell_alike_is_no_finding() -> None:
    found = found_in(HERE, THERE)
    assert not found.findings, found.findings
    assert (found.orders, found.executions, found.states) == (1, 2, {"executed": 1})


@pytest.mark.parametrize(
    ("here", "found"),
    [
        (HERE[:-1], {"lost execution", "filled", "state"}),
        ((*HERE, executed("E-9", 1)), {"invented execution", "filled"}),
        ((*HERE, HERE[-1]), {"double execution"}),
        ((*HERE[:-1], executed("E-2", 8, price="1.16")), {"execution"}),
        ((*HERE[:-1], executed("E-2", 7, price="1.15")), {"execution", "filled", "state"}),
        ((*HERE[:5], replaced(12, "1.21"), HERE[-1]), {"limit_price"}),
        ((*HERE[:4], replaced(12, "1.20", request_id=UUID(ELSE)), HERE[-1]), {"replaces"}),
        ((*HERE[:-1], canceled()), {"state", "lost execution", "filled"}),
        ((), {"unknown"}),
    ],
)
def test_a_lie_in_the_log_is_found(here: tuple[e.OrderEvent, ...], found: set[str]) -> None:
    assert names(here, THERE) == found


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ((), {"not placed"}),
        ((*THERE, at_venue()), {"exchange"}),
        ((*THERE, at_venue(ELSE)), {"unknown"}),
        (
            (*THERE[:-1], filled("E-1", 8, 12, 0, "1.15000")),
            {"exchange", "execution", "invented execution", "filled", "state"},
        ),
        ((*THERE[:-1], filled("E-2", 7, 11, 1, "1.15000")), {"execution", "filled", "state"}),
        (
            (*THERE[:3], report(x.CanceledReport, request_id=None, filled=4, leaves=0)),
            {"invented execution", "filled", "state"},
        ),
    ],
)
def test_a_lie_at_the_exchange_is_found(there: tuple[x.AnyReport, ...], found: set[str]) -> None:
    assert names(HERE, there) == found


def test_an_order_that_ended_as_never_placed_is_not_at_the_exchange() -> None:
    ended = (placed(limit="1.10"), started(), canceled(Evidence.NEVER_PLACED))
    assert not found_in(ended, ()).findings
    assert names(ended, (at_venue(),)) == {"state"}


def test_a_parked_order_is_not_at_the_exchange() -> None:
    assert not found_in((placed(), parked()), ()).findings
    assert names((placed(limit="1.10"), parked()), (at_venue(),)) == {"state"}


@pytest.mark.parametrize("here", [(placed(),), (placed(), started()), (placed(), started(), accepted())])
def test_an_order_that_has_not_settled_or_was_never_there_is_found(here: tuple[e.OrderEvent, ...]) -> None:
    assert names(here, ()) == {"not placed"}


def test_an_order_that_was_refused_is_refused_on_both_sides() -> None:
    terms: dict[str, Any] = {"symbol": "EURUSD", "side": "buy", "type": "limit", "time_in_force": "gtc", "quantity": 10}
    refused = report(x.RejectedReport, limit_price="1.10", reason="no such market", **terms)
    assert not found_in((placed(10, limit="1.10"), started(), rejected()), (refused,)).findings


def test_an_order_replaced_before_it_was_sent_is_known_there_by_its_new_terms() -> None:
    here = (placed(10, limit="1.10"), replaced(12, "1.20", evidence=Evidence.NEVER_PLACED), started(), accepted())
    assert not found_in(here, (at_venue(quantity=12, price="1.2"),)).findings


@pytest.mark.parametrize("count", [1, 3, 16])
def test_every_order_belongs_to_one_part(count: int) -> None:
    ranges = list(parts(count))
    assert ranges[0][0].int == 0
    assert ranges[-1][1] == UUID(int=(1 << 128) - 1)
    assert all(low.int == high.int + 1 for (_, high), (low, _) in pairwise(ranges))


def test_prices_are_compared_as_numbers() -> None:
    assert Decimal("1.10") == replace(HERE[3], price=Decimal("1.1000")).price
    assert not found_in((*HERE[:3], executed("E-1", 10, price="1.1")), (at_venue(), filled("E-1", 10, 10, 0))).findings
