"""The engine on its own, for tests: requests in short form, a clock that is set by hand, the entries it wrote."""

from __future__ import annotations

from typing import Any

import msgspec

from simulated_exchange.amendments import amended
from simulated_exchange.control_words import BustExecution, CorrectExecution
from simulated_exchange.engine import Decision, Engine
from simulated_exchange.entries import Entry
from simulated_exchange.house import House
from simulated_exchange.protocol import (
    AnyAnswer,
    AnyReport,
    Cancel,
    FilledReport,
    Query,
    Replace,
    ReplacedReport,
    Submit,
)
from simulated_exchange.query import found
from simulated_exchange.state import DAY_US, ExchangeState
from tests.support.exchange_client import Message, submission

JOURNAL_ID = "0d15ea5e-0000-4000-8000-000000000000"
MORNING = 20_000 * DAY_US + 8 * 3_600_000_000  # 08:00 UTC of some day
SECOND = 1_000_000
FILL_DELAY = (4 * SECOND, 6 * SECOND)


class Floor:
    """`answer`, `reports` and `kinds` are those of the last request; `now` is the time of the next."""

    def __init__(self, seed: int = 1, fill_delay: tuple[int, int] = FILL_DELAY, journal: str = JOURNAL_ID) -> None:
        self.state = ExchangeState(journal)
        self.house = House(seed, fill_delay)
        self.engine = Engine(self.state, self.house)
        self.now = MORNING
        self.entries: list[Entry] = []
        self.answer: AnyAnswer | None = None
        self.reports: list[AnyReport] = []

    @property
    def kinds(self) -> list[str]:
        return [kind_of(report) for report in self.reports]

    def take(self, request: Submit | Cancel | Replace) -> AnyAnswer:
        self.entries += self.engine.advance(self.now)
        return self._taken(self.engine.handle(request, self.now))

    def _taken(self, decision: Decision) -> AnyAnswer:
        self.answer = decision.answer
        self.reports = [] if decision.entry is None else decision.entry.reports
        if decision.entry is not None:
            self.entries.append(decision.entry)
        return decision.answer

    def submit(self, order_id: str, **terms: Any) -> AnyAnswer:
        return self.take(msgspec.convert({"id": 0, **submission(order_id, **terms)}, Submit))

    def buy(self, order_id: str, quantity: int, limit_price: str | None = None, **terms: Any) -> AnyAnswer:
        return self.submit(order_id, side="buy", quantity=quantity, limit_price=limit_price, **terms)

    def sell(self, order_id: str, quantity: int, limit_price: str | None = None, **terms: Any) -> AnyAnswer:
        return self.submit(order_id, side="sell", quantity=quantity, limit_price=limit_price, **terms)

    def cancel(self, order_id: str, request_id: str, base: str | None = None) -> AnyAnswer:
        return self.take(Cancel(0, order_id, request_id, base or order_id))

    def replace(self, order_id: str, request_id: str, base: str | None = None, **terms: Any) -> AnyAnswer:
        return self.take(Replace(0, order_id, request_id, base or order_id, **terms))

    def bust(self, order_id: str, exec_id: str | None = None) -> AnyAnswer:
        return self._amend(BustExecution(0, order_id, exec_id))

    def correct(
        self, order_id: str, quantity: int | None = None, price: str | None = None, exec_id: str | None = None
    ) -> AnyAnswer:
        return self._amend(CorrectExecution(0, order_id, exec_id, quantity, price))

    def _amend(self, request: BustExecution | CorrectExecution) -> AnyAnswer:
        self.entries += self.engine.advance(self.now)
        return self._taken(amended(self.engine, request, self.now))

    def wait(self, microseconds: int) -> None:
        """Time passes; what fell due is in `reports`."""
        self.now += microseconds
        due = list(self.engine.advance(self.now))
        self.entries += due
        self.reports = [report for entry in due for report in entry.reports]

    def order(self, order_id: str) -> Message:
        """What `query` answers."""
        answer: Message = msgspec.to_builtins(found(self.state, Query(0, order_id)))
        return answer

    def all_reports(self) -> list[AnyReport]:
        return [report for entry in self.entries for report in entry.reports]

    def fills(self) -> list[tuple[str, int, str]]:
        """Order, quantity and price of the last request's executions."""
        return [
            (report.order_id, report.quantity, report.price)
            for report in self.reports
            if isinstance(report, FilledReport)
        ]

    def resting(self, side: str, symbol: str = "EURUSD") -> list[str]:
        """The book's orders, first in line first."""
        half = self.state.book(symbol).half("buy" if side == "buy" else "sell")
        return [order.order_id for order in half.in_priority()]


def kind_of(report: AnyReport) -> str:
    return str(report.__struct_config__.tag)


def replaced(report: AnyReport) -> ReplacedReport:
    assert isinstance(report, ReplacedReport), report
    return report
