"""The venue's decisions: a request and a time in, an answer and a journal entry out.

Deterministic: state, inputs with their times (integer microseconds since 1970 UTC) and the seed decide everything.
`handle` and `advance` change the state only by applying the entry that they return, so that the journal is the state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from simulated_exchange.bounds import MAX_OPEN_ORDERS, MAX_QUANTITY, MAX_SYMBOL_CHARACTERS
from simulated_exchange.draft import Draft
from simulated_exchange.entries import Entry
from simulated_exchange.house import House
from simulated_exchange.prices import parse_price
from simulated_exchange.protocol import (
    BAD_PRICE,
    BAD_QUANTITY,
    BAD_SYMBOL,
    BELOW_FILLED,
    DAY_ENDED,
    FILL_OR_KILL,
    FULL,
    IMMEDIATE_OR_CANCEL,
    NO_LIQUIDITY,
    PRICE_MISSING,
    PRICE_PROHIBITED,
    STALE_BASE,
    UNKNOWN_ORDER,
    Accepted,
    AnyAnswer,
    Cancel,
    DayEnd,
    HouseFill,
    Refused,
    Rejected,
    Replace,
    Submit,
)
from simulated_exchange.state import HOUSE, ExchangeState
from simulated_exchange.venue_order import VenueOrder

_SYMBOL = re.compile(rf"[A-Za-z0-9._/-]{{1,{MAX_SYMBOL_CHARACTERS}}}")


class Decision(Struct, frozen=True):
    """`entry` is None where nothing changed: a repeat, a refusal, an unknown order."""

    answer: AnyAnswer
    entry: Entry | None = None


class Engine:
    def __init__(self, state: ExchangeState, house: House) -> None:
        self.state = state
        self._house = house

    def next_due(self) -> int | None:
        """When `advance` has something to do next."""
        timer = self.state.next_timer()
        return None if timer is None else timer[0]

    def advance(self, now: int) -> Iterator[Entry]:
        """House fills and ends of days up to and at `now`, each at the time it was due, already applied."""
        while (timer := self.state.next_timer()) is not None and timer[0] <= now:
            due, kind, order = timer
            if kind == HOUSE:
                draft = Draft(self.state, HouseFill(order.order_id), due)
                if self._house.is_open:
                    draft.fill(order, order.leaves, self._house.price(order.symbol, order.side, due), "house")
                else:
                    self._give_up(draft, order)
            else:
                draft = Draft(self.state, DayEnd(order.order_id), due)
                draft.expire(order, DAY_ENDED)
            yield self.commit(draft)

    def handle(self, request: Submit | Cancel | Replace, now: int) -> Decision:
        """Carries a request out. Whoever calls has advanced to `now`, which never runs backwards."""
        due = self.next_due()
        if now < self.state.now or (due is not None and due <= now):
            raise ValueError(f"handle at {now} before advance: state at {self.state.now}, next due {due}")
        match request:
            case Submit():
                return self._submit(request, now)
            case Cancel():
                return self._known(request) or self._cancel(request, now)
            case Replace():
                return self._known(request) or self._replace(request, now)

    def commit(self, draft: Draft) -> Entry:
        entry = draft.entry()
        self.state.apply(entry)
        return entry

    # Submit

    def _submit(self, request: Submit, now: int) -> Decision:
        first = self.state.orders.get(request.order_id)
        if first is not None:
            return self._submitted_before(request, first)
        if request.order_id in self.state.requests:
            return Decision(Refused("id_reused", "this order_id is the request_id of a cancel or replace"))
        draft = Draft(self.state, request, now)
        reason = self._reason_against(request)
        if reason is not None:
            seq = draft.reject(request, reason)
            return Decision(Rejected(reason, seq), self.commit(draft))
        order = draft.accept(request)
        self.match(draft, order, request.quantity)
        entry = self.commit(draft)
        return Decision(first_answer(self.state.orders[order.order_id]), entry)

    def _submitted_before(self, request: Submit, first: VenueOrder) -> Decision:
        price = None if request.limit_price is None else parse_price(request.limit_price)
        same = (
            request.symbol == first.symbol
            and request.side == first.side
            and request.type == first.type
            and request.time_in_force == first.time_in_force
            and request.quantity == first.submitted_quantity
            and price == first.submitted_price
        )
        if same:
            return Decision(first_answer(first))
        return Decision(
            Refused(
                "terms_differ",
                "this order_id was submitted before with other terms, which stand",
                first_outcome="rejected" if first.venue_order_id is None else "accepted",
                venue_order_id=first.venue_order_id,
            )
        )

    def _reason_against(self, request: Submit) -> str | None:
        if not _SYMBOL.fullmatch(request.symbol):
            return BAD_SYMBOL
        if not 1 <= request.quantity <= MAX_QUANTITY:
            return BAD_QUANTITY
        if self.state.working >= MAX_OPEN_ORDERS:
            return FULL
        if request.type == "limit" and request.limit_price is None:
            return PRICE_MISSING
        return reason_against_price(request.type, request.limit_price)

    def match(self, draft: Draft, order: VenueOrder, leaves: int) -> None:
        """Drafts what an order gets at once: fills from the book, the house's promise, an expiry."""
        whole_or_nothing = order.time_in_force == "fok"
        taken = self.state.book(order.symbol).match(order.side, order.price, leaves)
        available = sum(part for _, part in taken)
        if not (whole_or_nothing and available < leaves):
            for resting, part in taken:
                draft.fill(order, part, resting.resting_price, "book")
                draft.fill(resting, part, resting.resting_price, "book")
            leaves -= available
        if leaves == 0:
            return
        if order.type == "market" and self._house.is_open:
            draft.house_due = draft.at + self._house.fill_delay_us(order.order_id)
        elif order.type == "market" or order.time_in_force in ("ioc", "fok"):
            self._give_up(draft, order)

    def _give_up(self, draft: Draft, order: VenueOrder) -> None:
        """Ends an order that cannot rest and gets no more."""
        if order.time_in_force == "fok":
            draft.expire(order, FILL_OR_KILL)
        elif order.time_in_force == "ioc":
            draft.expire(order, IMMEDIATE_OR_CANCEL)
        else:
            draft.cancel(order, None, NO_LIQUIDITY)

    # Cancel and replace

    def _known(self, request: Cancel | Replace) -> Decision | None:
        """The first answer to a request that was answered before, or why its id cannot be."""
        if request.request_id in self.state.orders:
            return Decision(Refused("id_reused", "this request_id is the id of an order"))
        known = self.state.requests.get(request.request_id)
        if known is None:
            return None
        first, answer = known
        if content(first) != content(request):
            return Decision(Refused("id_reused", "this request_id was used before for something else"))
        return Decision(answer)

    def _cancel(self, request: Cancel, now: int) -> Decision:
        order = self.state.orders.get(request.order_id)
        if order is None:
            return Decision(Rejected(UNKNOWN_ORDER))
        draft = Draft(self.state, request, now)
        reason = reason_against_change(order, request)
        if reason is None:
            draft.cancel(order, request.request_id)
        else:
            draft.reject_cancel(order, request.request_id, reason)
        return self._answered(draft, request.request_id)

    def _replace(self, request: Replace, now: int) -> Decision:
        order = self.state.orders.get(request.order_id)
        if order is None:
            return Decision(Rejected(UNKNOWN_ORDER))
        draft = Draft(self.state, request, now)
        reason = reason_against_change(order, request) or reason_against_terms(order, request)
        if reason is not None:
            draft.reject_replace(order, request.request_id, reason)
            return self._answered(draft, request.request_id)
        quantity = order.quantity if request.quantity is None else request.quantity
        price = order.price if request.limit_price is None else parse_price(request.limit_price)
        after = draft.replace(order, request, quantity, price)
        if price != order.price and after.leaves > 0:
            self.match(draft, after, after.leaves)
        return self._answered(draft, request.request_id)

    def _answered(self, draft: Draft, request_id: str) -> Decision:
        entry = self.commit(draft)
        return Decision(self.state.requests[request_id][1], entry)


def first_answer(order: VenueOrder) -> Accepted | Rejected:
    """What the order's submit was answered, whatever became of it since."""
    if order.venue_order_id is None:
        return Rejected(order.reason or "", order.first_seq)
    return Accepted(order.venue_order_id, order.first_seq)


def content(request: Cancel | Replace) -> tuple[object, ...]:
    """What makes two requests the same; the wire's `id` does not."""
    if isinstance(request, Cancel):
        return ("cancel", request.order_id, request.base)
    price = None if request.limit_price is None else parse_price(request.limit_price)
    return ("replace", request.order_id, request.base, request.quantity, price)


def reason_against_change(order: VenueOrder, request: Cancel | Replace) -> str | None:
    """What is done is refused with how it ended, before anything else is judged (FIX CxlRejReason 0)."""
    if order.state != "working":
        return f"already {order.state}"
    return None if request.base == order.terms_id else STALE_BASE


def reason_against_terms(order: VenueOrder, request: Replace) -> str | None:
    if request.quantity is not None:
        if not 1 <= request.quantity <= MAX_QUANTITY:
            return BAD_QUANTITY
        if request.quantity < order.filled:
            return BELOW_FILLED
    return reason_against_price(order.type, request.limit_price)


def reason_against_price(order_type: str, limit_price: str | None) -> str | None:
    if limit_price is None:
        return None
    if order_type == "market":
        return PRICE_PROHIBITED
    return BAD_PRICE if parse_price(limit_price) == 0 else None
