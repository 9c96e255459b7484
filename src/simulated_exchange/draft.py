"""A journal entry in the making: numbers the reports and keeps count of what they do to the orders they touch."""

from __future__ import annotations

import msgspec

from simulated_exchange.entries import Entry
from simulated_exchange.house import decimals_of
from simulated_exchange.prices import format_price, parse_price
from simulated_exchange.protocol import (
    AcceptedReport,
    AnyReport,
    BustedReport,
    CanceledReport,
    CancelRejectedReport,
    CorrectedReport,
    ExpiredReport,
    FilledReport,
    Input,
    Liquidity,
    RejectedReport,
    Replace,
    ReplacedReport,
    ReplaceRejectedReport,
    Submit,
)
from simulated_exchange.state import ExchangeState
from simulated_exchange.venue_order import Fill, VenueOrder, order_of


class Draft:
    """Reads the state and changes nothing in it. The order under decision is a copy; resting ones are counted apart."""

    def __init__(self, state: ExchangeState, cause: Input, at: int) -> None:
        self.at = at
        self.house_due: int | None = None
        self._state = state
        self._cause = cause
        self._seq = state.seq
        self._reports: list[AnyReport] = []
        self._filled: dict[str, int] = {}

    def entry(self) -> Entry:
        return Entry(self._state.entries + 1, self.at, self._cause, self._reports, self.house_due)

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _filled_of(self, order: VenueOrder) -> int:
        return self._filled.get(order.order_id, order.filled)

    def accept(self, request: Submit) -> VenueOrder:
        """The order as it will be, for matching; the state makes its own from the report."""
        seq = self._next_seq()
        report = AcceptedReport(
            seq=seq,
            at=self.at,
            order_id=request.order_id,
            venue_order_id=f"V{self._state.tag}-{seq}",
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            quantity=request.quantity,
            limit_price=canonical_price(request),
            time_in_force=request.time_in_force,
        )
        self._reports.append(report)
        return order_of(report, number=0)

    def reject(self, request: Submit, reason: str) -> int:
        seq = self._next_seq()
        self._reports.append(
            RejectedReport(
                seq=seq,
                at=self.at,
                order_id=request.order_id,
                venue_order_id=None,
                symbol=request.symbol,
                side=request.side,
                type=request.type,
                quantity=request.quantity,
                limit_price=canonical_price(request),
                time_in_force=request.time_in_force,
                reason=reason,
            )
        )
        return seq

    def fill(self, order: VenueOrder, quantity: int, price: int, liquidity: Liquidity) -> None:
        seq = self._next_seq()
        filled = self._filled_of(order) + quantity
        self._filled[order.order_id] = filled
        self._reports.append(
            FilledReport(
                seq=seq,
                at=self.at,
                order_id=order.order_id,
                venue_order_id=order.venue_order_id,
                exec_id=exec_id(self._state.tag, seq),
                quantity=quantity,
                price=format_price(price, decimals_of(order.symbol)),
                filled=filled,
                leaves=order.quantity - filled,
                liquidity=liquidity,
            )
        )

    def expire(self, order: VenueOrder, reason: str) -> None:
        seq = self._next_seq()
        filled = self._filled_of(order)
        self._reports.append(ExpiredReport(seq, self.at, order.order_id, order.venue_order_id, reason, filled, 0))

    def cancel(self, order: VenueOrder, request_id: str | None, reason: str | None = None) -> None:
        """`reason` where nobody asked for it."""
        seq = self._next_seq()
        filled = self._filled_of(order)
        self._reports.append(
            CanceledReport(seq, self.at, order.order_id, order.venue_order_id, request_id, filled, 0, reason)
        )

    def reject_cancel(self, order: VenueOrder, request_id: str, reason: str) -> None:
        seq = self._next_seq()
        self._reports.append(
            CancelRejectedReport(seq, self.at, order.order_id, order.venue_order_id, request_id, reason)
        )

    def reject_replace(self, order: VenueOrder, request_id: str, reason: str) -> None:
        seq = self._next_seq()
        self._reports.append(
            ReplaceRejectedReport(seq, self.at, order.order_id, order.venue_order_id, request_id, reason)
        )

    def replace(self, order: VenueOrder, request: Replace, quantity: int, price: int | None) -> VenueOrder:
        """The order with its new terms, for matching."""
        after = msgspec.structs.replace(order, quantity=quantity, price=price, terms_id=request.request_id)
        self._reports.append(
            ReplacedReport(
                seq=self._next_seq(),
                at=self.at,
                order_id=after.order_id,
                venue_order_id=after.venue_order_id,
                request_id=request.request_id,
                base=request.base,
                quantity=quantity,
                limit_price=after.limit_text,
                filled=after.filled,
                leaves=after.leaves,
            )
        )
        return after

    def bust(self, order: VenueOrder, fill: Fill) -> VenueOrder:
        """The order without the execution, for matching: one that it had executed works again."""
        after = self._amended(order, order.filled - fill.quantity)
        seq = self._next_seq()
        self._reports.append(
            BustedReport(
                seq=seq,
                at=self.at,
                order_id=order.order_id,
                venue_order_id=order.venue_order_id,
                exec_id=exec_id(self._state.tag, seq),
                ref_exec_id=exec_id(self._state.tag, fill.seq),
                filled=after.filled,
                leaves=after.leaves,
            )
        )
        return after

    def correct(self, order: VenueOrder, fill: Fill, quantity: int, price: int) -> VenueOrder:
        """The order with the execution changed, for matching."""
        after = self._amended(order, order.filled - fill.quantity + quantity)
        seq = self._next_seq()
        self._reports.append(
            CorrectedReport(
                seq=seq,
                at=self.at,
                order_id=order.order_id,
                venue_order_id=order.venue_order_id,
                exec_id=exec_id(self._state.tag, seq),
                ref_exec_id=exec_id(self._state.tag, fill.seq),
                quantity=quantity,
                price=format_price(price, decimals_of(order.symbol)),
                filled=after.filled,
                leaves=after.leaves,
            )
        )
        return after

    def _amended(self, order: VenueOrder, filled: int) -> VenueOrder:
        state = "working" if order.state == "executed" and filled < order.quantity else order.state
        return msgspec.structs.replace(order, filled=filled, state=state)


def exec_id(tag: str, seq: int) -> str:
    """Unique for ever: the journal's tag and the fill's own seq."""
    return f"E{tag}-{seq}"


def canonical_price(request: Submit) -> str | None:
    """The price as the exchange prints it."""
    text = request.limit_price
    return None if text is None else format_price(parse_price(text), decimals_of(request.symbol))
