"""What the exchange knows: a fold of its journal. The same code runs live and at a restart, so a restart cannot
come to another state, nor does a later version that decides differently disown what was promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from simulated_exchange.book import Book
from simulated_exchange.entries import Entry
from simulated_exchange.prices import parse_price
from simulated_exchange.protocol import (
    Answer,
    AnyReport,
    BustedReport,
    Cancel,
    Canceled,
    CanceledReport,
    CancelRejectedReport,
    CorrectedReport,
    ExpiredReport,
    FilledReport,
    Rejected,
    RejectedReport,
    Replace,
    Replaced,
    ReplacedReport,
    ReplaceRejectedReport,
    State,
    Terms,
)
from simulated_exchange.venue_order import Fill, VenueOrder, order_of

DAY_US = 86_400 * 1_000_000
HOUSE, DAY_END = 0, 1  # of two timers due at once the house's comes first


def end_of_day_us(at: int) -> int:
    """The next 24:00 UTC."""
    return (at // DAY_US + 1) * DAY_US


class ExchangeState:
    def __init__(self, journal: str) -> None:
        self.journal = journal
        self.tag = journal[:8]
        self.entries = 0
        self.seq = 0
        self.now = 0
        self.orders: dict[str, VenueOrder] = {}
        self.requests: dict[str, tuple[Cancel | Replace, Answer]] = {}
        self.books: dict[str, Book] = {}
        self.working = 0
        self.awaiting_house = 0
        self._timers: list[tuple[int, int, int, str]] = []

    def next_timer(self) -> tuple[int, int, VenueOrder] | None:
        """When, which and for whom the next timer is; forgets those of orders that are done."""
        while self._timers:
            due, kind, _, order_id = self._timers[0]
            order = self.orders[order_id]
            if order.state == "working" and (kind != HOUSE or order.house_due == due):
                return due, kind, order
            heappop(self._timers)
        return None

    def book(self, symbol: str) -> Book:
        book = self.books.get(symbol)
        if book is None:
            book = self.books[symbol] = Book()
        return book

    def apply(self, entry: Entry) -> None:
        """Takes an entry in, whole."""
        self.entries = entry.n
        self.now = max(self.now, entry.at)
        for report in entry.reports:
            self._apply_report(report, entry)
        order = self.orders[entry.input.order_id]
        if order.state == "working":
            self._settle(order, entry.house_due)

    def _apply_report(self, report: AnyReport, entry: Entry) -> None:
        self.seq = report.seq
        if isinstance(report, Terms):
            self._open(report)
        order = self.orders[report.order_id]
        order.last_seq = report.seq
        match report:
            case FilledReport():
                self._fill(order, report)
            case ReplacedReport():
                self._replace(order, report)
            case CanceledReport():
                self._end(order, "canceled")
            case ExpiredReport():
                order.reason = report.reason
                self._end(order, "expired")
            case BustedReport() | CorrectedReport():
                self._amend(order, report)
        if isinstance(entry.input, Cancel | Replace) and (answer := answer_of(report)) is not None:
            self.requests[entry.input.request_id] = (entry.input, answer)

    def _open(self, report: Terms) -> None:
        order = order_of(report, len(self.orders) + 1)
        self.orders[order.order_id] = order
        if isinstance(report, RejectedReport):
            order.state = "rejected"
            order.reason = report.reason
            return
        self.working += 1
        if order.time_in_force == "day":
            order.expires_at = end_of_day_us(report.at)
            heappush(self._timers, (order.expires_at, DAY_END, order.number, order.order_id))

    def _settle(self, order: VenueOrder, house_due: int | None) -> None:
        """What is left of the order that an entry was about: it rests, or waits for the house."""
        if order.type == "limit" and not order.in_book:
            self.book(order.symbol).half(order.side).add(order)
            order.in_book = True
        if house_due is not None:
            order.house_due = house_due
            self.awaiting_house += 1
            heappush(self._timers, (house_due, HOUSE, order.number, order.order_id))

    def _fill(self, order: VenueOrder, report: FilledReport) -> None:
        fill = Fill(report.seq, report.at, report.quantity, parse_price(report.price), report.liquidity)
        if order.fills is None:
            order.fills = []
        order.fills.append(fill)
        order.filled += report.quantity
        if order.filled >= order.quantity:
            self._end(order, "executed")

    def _replace(self, order: VenueOrder, report: ReplacedReport) -> None:
        price = None if report.limit_price is None else parse_price(report.limit_price)
        if price != order.price or report.quantity > order.quantity:
            self._leave_book(order)  # and joins at the end of the queue when the entry is settled
        order.price = price
        order.quantity = report.quantity
        order.terms_id = report.request_id
        if order.filled >= order.quantity:
            self._end(order, "executed")

    def _amend(self, order: VenueOrder, report: BustedReport | CorrectedReport) -> None:
        """An execution is void, or another one stands in its place."""
        fills = order.fills or []
        place = place_of(fills, report.ref_exec_id)
        if isinstance(report, CorrectedReport):
            price = parse_price(report.price)
            fills[place] = Fill(report.seq, report.at, report.quantity, price, fills[place].liquidity)
        else:
            del fills[place]
        order.filled = report.filled
        if order.state == "executed" and report.leaves > 0:
            self._reopen(order)
        elif order.state == "working" and report.leaves == 0:
            self._end(order, "executed")

    def _reopen(self, order: VenueOrder) -> None:
        order.state = "working"
        order.house_due = None
        self.working += 1
        if order.expires_at is not None:
            heappush(self._timers, (order.expires_at, DAY_END, order.number, order.order_id))

    def _end(self, order: VenueOrder, state: State) -> None:
        self._leave_book(order)
        order.state = state
        self.working -= 1
        if order.house_due is not None:
            self.awaiting_house -= 1

    def _leave_book(self, order: VenueOrder) -> None:
        if order.in_book:
            self.books[order.symbol].half(order.side).remove(order)
            order.in_book = False


def place_of(fills: Sequence[Fill], exec_id: str) -> int:
    """Where an execution stands among an order's. Raises KeyError: there is none, or not any more."""
    for place, fill in enumerate(fills):
        if exec_id.endswith(f"-{fill.seq}"):
            return place
    raise KeyError(exec_id)


def answer_of(report: AnyReport) -> Answer | None:
    """The answer that says the same as a report of the request's outcome; None for what is no outcome."""
    match report:
        case CanceledReport():
            return Canceled(report.seq)
        case ReplacedReport():
            return Replaced(report.quantity, report.limit_price, report.leaves, report.seq)
        case CancelRejectedReport() | ReplaceRejectedReport():
            return Rejected(report.reason, report.seq)
    return None
