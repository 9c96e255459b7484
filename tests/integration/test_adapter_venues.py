"""One contract for every venue: what it declares that it can do, it does; called from many threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from exchange_adapter.errors import OtherJournal, ReportsLost
from exchange_adapter.place_order import PlaceOrderVenue
from exchange_adapter.simulated_venue import SimulatedVenue
from exchange_adapter.venue import (
    CancelRequest,
    Done,
    Found,
    NotFound,
    NotSent,
    Placed,
    Refused,
    ReplaceRequest,
    Report,
    ReportKind,
    ReportPosition,
    UnknownOrder,
    Venue,
    VenueOrder,
    VenueState,
)
from orders.domain.values import OrderType, Side, TimeInForce
from tests.support.exchange_process import ExchangeProcess
from tests.support.waiting import wait_until

CALL_TIMEOUT_S = 5.0


def order(order_id: UUID | None = None, **terms: Any) -> VenueOrder:
    """A limit order that rests."""
    usual: dict[str, Any] = {
        "symbol": "EURUSD",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": 10,
        "limit_price": Decimal("0.50000"),
        "time_in_force": TimeInForce.GTC,
        "created_at": datetime.now(UTC),
    }
    return VenueOrder(order_id=order_id or uuid4(), **{**usual, **terms})


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    with ExchangeProcess(tmp_path_factory.mktemp("exchange") / "data", fill_delay="0.05") as process:
        yield process


@pytest.fixture(scope="module")
def tcp_exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    folder = tmp_path_factory.mktemp("exchange-tcp") / "data"
    with ExchangeProcess(folder, fill_delay="0.05", address="127.0.0.1:0") as process:
        yield process


@pytest.fixture(params=["place_order", "simulated", "simulated over TCP"])
def venue(request: pytest.FixtureRequest) -> Iterator[Venue]:
    made: Venue
    if request.param == "place_order":
        made = PlaceOrderVenue(lambda order: None)
    else:
        process = request.getfixturevalue("tcp_exchange" if "TCP" in request.param else "exchange")
        made = SimulatedVenue(process.address, call_timeout_s=CALL_TIMEOUT_S)
    yield made
    made.close()


def needs(venue: Venue, *capabilities: str) -> bool:
    """Whether the venue declares them all; where not, it promises nothing."""
    return all(getattr(venue.capabilities, capability) for capability in capabilities)


def cancel(order: VenueOrder, base: UUID | None = None) -> CancelRequest:
    return CancelRequest(order_id=order.order_id, request_id=uuid4(), base=base or order.order_id)


def replace(order: VenueOrder, quantity: int, base: UUID | None = None) -> ReplaceRequest:
    return ReplaceRequest(
        order_id=order.order_id,
        request_id=uuid4(),
        base=base or order.order_id,
        quantity=quantity,
        limit_price=order.limit_price,
    )


def test_it_places_orders(venue: Venue) -> None:
    assert isinstance(venue.submit(order()), Placed)


def test_it_places_many_at_once(venue: Venue) -> None:
    with ThreadPoolExecutor(50) as threads:
        outcomes = list(threads.map(venue.submit, [order() for _ in range(200)]))
    assert all(isinstance(outcome, Placed) for outcome in outcomes)


def test_it_tells_repeats_apart(venue: Venue) -> None:
    if needs(venue, "deduplicates"):
        first = order()
        assert venue.submit(first) == venue.submit(first)


def test_it_tells_whether_it_has_an_order(venue: Venue) -> None:
    if needs(venue, "queries"):
        placed = order()
        assert venue.query(placed.order_id) == NotFound()
        outcome = venue.submit(placed)
        found = venue.query(placed.order_id)
        assert isinstance(outcome, Placed)
        assert isinstance(found, Found)
        assert (found.state, found.venue_order_id) == (VenueState.WORKING, outcome.venue_order_id)
        assert (found.quantity, found.limit_price) == (10, Decimal("0.5"))


def test_it_cancels(venue: Venue) -> None:
    if needs(venue, "cancels", "queries"):
        placed = order()
        assert venue.cancel(cancel(placed)) == UnknownOrder()
        venue.submit(placed)
        assert isinstance(venue.cancel(cancel(placed)), Done)
        assert isinstance(venue.cancel(cancel(placed)), Refused)
        found = venue.query(placed.order_id)
        assert isinstance(found, Found)
        assert found.state is VenueState.CANCELED


def test_it_replaces(venue: Venue) -> None:
    if needs(venue, "replaces", "queries"):
        placed = order()
        assert venue.replace(replace(placed, 12)) == UnknownOrder()
        venue.submit(placed)
        change = replace(placed, 12)
        assert venue.replace(change) == Done(12, Decimal("0.50000"))
        found = venue.query(placed.order_id)
        assert isinstance(found, Found)
        assert (found.quantity, found.terms_id) == (12, str(change.request_id))


def test_it_repeats_its_first_answer_and_refuses_a_stale_base(venue: Venue) -> None:
    if needs(venue, "repeats_answers", "replaces", "cancels"):
        placed = order()
        venue.submit(placed)
        change = replace(placed, 12)
        first = venue.replace(change)
        later = replace(placed, 15, base=change.request_id)
        assert isinstance(venue.replace(later), Done)
        assert venue.replace(change) == first
        assert isinstance(venue.replace(replace(placed, 20)), Refused)
        ending = cancel(placed, base=later.request_id)
        assert venue.cancel(ending) == venue.cancel(ending) == Done()


def read(venue: Venue, after: ReportPosition, until: Callable[[list[Report]], bool]) -> list[Report]:
    stream, reports = venue.reports(after), list[Report]()
    try:
        wait_until(lambda: reports.extend(stream.next_batch(1000, 0.5)) or until(reports), what="reports")
    finally:
        stream.close()
    return reports


def test_it_reports_what_happens_and_can_be_read_again_from_anywhere(venue: Venue) -> None:
    if needs(venue, "reports"):
        market = order(type=OrderType.MARKET, limit_price=None)
        venue.submit(market)

        def filled(reports: list[Report]) -> bool:
            return any(report.order_ref == str(market.order_id) and report.leaves == 0 for report in reports)

        reports = read(venue, ReportPosition(), filled)
        assert [report.seq for report in reports] == list(range(1, len(reports) + 1))
        own = [report for report in reports if report.order_ref == str(market.order_id)]
        assert [report.kind for report in own] == [ReportKind.ACCEPTED, ReportKind.FILLED]
        assert own[1].exec_id is not None
        assert (own[1].quantity, own[1].price is not None) == (10, True)
        again = read(venue, ReportPosition(None, own[0].seq), filled)
        assert again == reports[own[0].seq :]


def test_another_journal_is_noticed(venue: Venue) -> None:
    if needs(venue, "reports"):
        with pytest.raises(OtherJournal):
            venue.reports(ReportPosition("some other journal", 1))
        with pytest.raises(OtherJournal):
            venue.reports(ReportPosition(None, 1_000_000))


def test_an_exchange_that_is_down_gets_nothing_and_one_that_is_back_is_reached_again(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "exchange") as process:
        venue = SimulatedVenue(process.address, call_timeout_s=CALL_TIMEOUT_S)
        placed = order()
        assert isinstance(venue.submit(placed), Placed)
        process.kill()
        wait_until(lambda: isinstance(venue.query(placed.order_id), NotSent), what="the lost connection")
        assert isinstance(venue.submit(order()), NotSent)
        with pytest.raises(ReportsLost):
            venue.reports(ReportPosition())
        process.start()
        wait_until(lambda: isinstance(venue.query(placed.order_id), Found), what="the new connection")
        venue.close()
