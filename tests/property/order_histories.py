"""A second, naive reading of an order's events: what they add up to, and whether such a history may be.

Written from the rules alone, without a look at `decide` and `evolve`: plain loops and names of events, nothing shared
but the event structs. Slow, and easy to believe.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from orders.domain import events as e
from orders.domain.values import Capabilities, Evidence, OrderType, TimeInForce

VENUES_WORD = {Evidence.VENUE_ANSWER, Evidence.VENUE_REPORT, Evidence.VENUE_QUERY}
CLOSES = {"OrderCanceled": "Canceled", "OrderExpired": "Expired", "OrderRejected": "Rejected"}
REFUSALS = {"CancelRejected", "ReplaceRejected"}
ANSWERS = {"OrderReplaced"} | REFUSALS
ALWAYS_PROOF = {"OrderAccepted", "OrderExecuted", "ExecutionBusted", "ExecutionCorrected", "OrderRejected"}
MAY_COME_AFTER_AN_END = {"OrderAccepted", "OrderExecuted", "ExecutionBusted", "ExecutionCorrected"}
UNSENT = {"queued", "parked"}


@dataclass
class Reading:
    """What the events so far add up to."""

    venue: Capabilities
    quantity: int = 0
    is_limit: bool = False
    is_day: bool = False
    limit_price: Decimal | None = None
    closed: str | None = None
    closed_by: Evidence | None = None
    delivery: str = "queued"
    attempts: int = 0
    running: int | None = None
    doubted: set[int] = field(default_factory=set)
    cancel: UUID | None = None
    change: UUID | None = None
    asked: int = 0
    all_changes: list[UUID] = field(default_factory=list)
    done_until: int = 0  # how many of them are over: the last that was carried out, and all before it
    refused: set[UUID] = field(default_factory=set)  # on the exchange's word, or because it cannot
    venue_order_id: str | None = None
    venue_says_done: bool = False
    counted: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    void: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    ids: set[UUID] = field(default_factory=set)

    @property
    def filled(self) -> int:
        return sum(quantity for exec_id, (quantity, _) in self.counted.items() if exec_id not in self.void)

    @property
    def notional(self) -> Fraction:
        live = (fill for exec_id, fill in self.counted.items() if exec_id not in self.void)
        return sum((quantity * Fraction(price) for quantity, price in live), Fraction(0))

    @property
    def status(self) -> str:
        if self.filled >= self.quantity and (self.change is None or self._done_as_it_was_or_as_asked):
            return "Executed"
        return self.closed or "Placed"

    @property
    def _done_as_it_was_or_as_asked(self) -> bool:
        """Between the old quantity and a larger one that was asked for, a fill is still to come."""
        return self.venue_says_done and not self.quantity < self.filled < self.asked

    @property
    def ord_status(self) -> str:
        """By FIX 4.4's precedence, from the top."""
        if self.cancel is not None:
            return "PendingCancel"
        if self.change is not None:
            return "PendingReplace"
        if self.status != "Placed":
            return "Filled" if self.status == "Executed" else self.status
        if self.filled > 0:
            return "PartiallyFilled"
        return "New" if self.delivery == "acked" else "PendingNew"

    @property
    def unsettled(self) -> set[int]:
        return self.doubted if self.running is None else self.doubted | {self.running}

    @property
    def lives_unwanted(self) -> bool:
        ended = self.status in ("Canceled", "Expired")
        return ended and self.closed_by is Evidence.NEVER_PLACED and self.delivery == "acked"

    def read(self, event: e.OrderEvent) -> None:
        if _proves_that_the_venue_has_it(event):
            self.delivery, self.running, self.doubted = "acked", None, set()
        name = e.event_name(event)
        if name in CLOSES:
            self.closed, self.closed_by = CLOSES[name], event.evidence  # type: ignore[attr-defined]
        self._of_sending(event)
        self._of_requests(event)
        self._of_executions(event)
        for _ in range(2):  # without the replace that was pending, what has closed may be filled
            if self.status != "Placed":
                self.cancel = self.change = None
        self.ids.add(event.event_id)

    def _of_sending(self, event: e.OrderEvent) -> None:
        match event:
            case e.OrderPlaced():
                self.quantity, self.limit_price = event.after.quantity, event.after.limit_price
                self.is_limit = event.after.type is OrderType.LIMIT
                self.is_day = event.after.time_in_force is TimeInForce.DAY
            case e.SubmitStarted():
                self.delivery, self.running, self.attempts = "sending", event.attempt, event.attempt
            case e.SubmitFailed():
                self.doubted = self.doubted - set(event.attempts)
                if self.running in event.attempts:
                    self.running = None
                if self.running is None:
                    self.delivery = "in_doubt" if self.doubted else "queued"
            case e.SubmitInDoubt():
                self.doubted = self.doubted | {event.attempt}
                self.running, self.delivery = None, "in_doubt"
            case e.OperatorResolved():
                self.delivery, self.doubted = "acked" if event.placed else "queued", set()
            case e.PlacementParked():
                self.delivery = "parked"
            case e.PlacementResumed():
                self.delivery = "queued"
            case e.OrderAccepted():
                self.venue_order_id = event.venue_order_id or self.venue_order_id

    def _of_requests(self, event: e.OrderEvent) -> None:
        match event:
            case e.CancelRequested():
                self.cancel = event.event_id
            case e.CancelRejected():
                self.cancel = None
            case e.ReplaceRequested():
                self.change, self.asked = event.event_id, event.quantity
                self.all_changes.append(event.event_id)
            case e.ReplaceRejected():
                if event.request_id == self.change and self.change is not None:
                    self.refused.add(self.change)
                self.change = None
            case e.OrderReplaced():
                self.quantity, self.limit_price = event.quantity, event.limit_price
                self.venue_says_done = False
                if event.request_id in self.all_changes:
                    self.done_until = self.all_changes.index(event.request_id) + 1
                if event.request_id == self.change:
                    self.change = None

    def _of_executions(self, event: e.OrderEvent) -> None:
        match event:
            case e.OrderExecuted():
                self.counted[event.exec_id] = (event.quantity, event.price)
                self.venue_says_done |= event.leaves == 0 and event.exec_id not in self.void
            case e.ExecutionBusted():
                self.void.add(event.ref_exec_id)
                self.venue_says_done = False
            case e.ExecutionCorrected():
                self.void.add(event.ref_exec_id)
                self.counted[event.exec_id] = (event.quantity, event.price)
                self.venue_says_done = False
        if isinstance(event, e.OrderExecuted | e.ExecutionBusted | e.ExecutionCorrected):
            self.told.add(event.exec_id)


def _proves_that_the_venue_has_it(event: e.OrderEvent) -> bool:
    """A refused request proves it where it was reported; the answer to a call may be "unknown order"."""
    name, evidence = e.event_name(event), getattr(event, "evidence", None)
    if name in ALWAYS_PROOF:
        return True
    if name in REFUSALS:
        return evidence is not Evidence.VENUE_ANSWER and evidence in VENUES_WORD
    return name in ("OrderCanceled", "OrderExpired", "OrderReplaced") and evidence in VENUES_WORD


def faults(before: Reading, unit: Sequence[e.OrderEvent]) -> Iterator[str]:
    """What may not be, told as sentences; `before` is read on through the unit."""
    begun_open, answered = before.status == "Placed", set[UUID | None]()
    waited = before.change
    for event in unit:
        name = e.event_name(event)
        for fault in _faults_of(before, event):
            yield f"{name}: {fault}"
        if name in ANSWERS and event.request_id is not None:  # type: ignore[attr-defined]
            asked = event.request_id  # type: ignore[attr-defined]
            if asked in answered or asked not in before.ids:
                yield f"{name}: it answers what nobody asks"
            answered.add(asked)
        may_settle = begun_open and name in ANSWERS and event is not unit[0]
        full_and_not_closed = before.status == "Executed" and before.closed is None and name != "OrderRejected"
        may_end = name in CLOSES and (before.lives_unwanted or full_and_not_closed)
        is_late = isinstance(event, e.OrderReplaced) and event.request_id not in (None, waited)
        if is_late != getattr(event, "late", False):
            yield f"{name}: late is the word on a request that waited no more, and on no other"
        allowed = name in MAY_COME_AFTER_AN_END or may_settle or may_end or is_late
        if before.ids and before.status != "Placed" and not allowed:
            yield f"{name}: the order had ended"
        before.read(event)
    yield from _faults_of_state(before)


def _faults_of(order: Reading, event: e.OrderEvent) -> Iterator[str]:
    if event.event_id in order.ids:
        yield "its id was used before"
    if isinstance(event, e.OrderPlaced) == bool(order.ids):
        yield "an order is placed once, first"
    yield from _faults_of_sending(order, event)
    yield from _faults_of_requests(order, event)
    yield from _faults_of_evidence(order, event)
    if getattr(event, "exec_id", None) in order.told:
        yield "an execution report counts once"


def _faults_of_sending(order: Reading, event: e.OrderEvent) -> Iterator[str]:
    match event:
        case e.SubmitStarted():
            if event.attempt != order.attempts + 1:
                yield "attempts are numbered 1, 2, 3"
            if order.delivery not in ("queued", "in_doubt"):
                yield f"it was {order.delivery}"
            if order.delivery == "in_doubt" and not order.venue.deduplicates:
                yield "the exchange cannot tell a repeat from a second order"
            if order.cancel is not None and (order.venue.queries or order.venue.cancels):
                yield "a cancel is held, and the doubt could be settled otherwise"
        case e.SubmitFailed() if not event.attempts or not set(event.attempts) <= order.unsettled:
            yield "it names attempts that are settled, or none"
        case e.SubmitInDoubt() if event.attempt != order.running:
            yield "no such attempt runs"
        case e.PlacementParked() if order.delivery != "queued":
            yield f"it was {order.delivery}"
        case e.PlacementResumed() if order.delivery != "parked":
            yield f"it was {order.delivery}"
        case e.OrderAccepted() if order.delivery == "acked" and (order.venue_order_id or not event.venue_order_id):
            yield "that the exchange has it was known, and by which id"
        case e.OperatorResolved() if order.delivery != "in_doubt" or set(event.attempts) != order.doubted:
            yield "a person settles all that is in doubt, and only that"


def _faults_of_requests(order: Reading, event: e.OrderEvent) -> Iterator[str]:
    match event:
        case e.CancelRequested() | e.ReplaceRequested() if order.delivery in UNSENT:
            yield "what was not sent needs no request"
        case e.CancelRequested() if order.cancel is not None:
            yield "a cancel waits"
        case e.ReplaceRequested() if order.cancel is not None or order.change is not None:
            yield "a request waits"
        case e.ReplaceRequested() if event.quantity < order.filled:
            yield "the new total is below what is filled"
        case e.OrderReplaced() if event.quantity < 1:
            yield "a quantity is at least one"
        case e.OrderReplaced(request_id=UUID() as asked) if asked in order.all_changes[: order.done_until]:
            yield "terms are taken back: it, or a later one, was carried out before"
        case e.OrderReplaced(request_id=UUID() as asked) if asked in order.refused:
            yield "the exchange had refused it"


def _faults_of_evidence(order: Reading, event: e.OrderEvent) -> Iterator[str]:
    evidence = getattr(event, "evidence", None)
    never_there = order.delivery in UNSENT and not order.unsettled
    match event:
        case e.OrderAccepted() | e.OrderRejected() | e.OrderExecuted() if evidence not in VENUES_WORD:
            yield f"{evidence} is not the exchange's word"
        case e.OrderCanceled() | e.OrderExpired() | e.OrderReplaced():
            if evidence is Evidence.NEVER_PLACED and not never_there:
                yield "the exchange may have the order"
            if evidence is not Evidence.NEVER_PLACED and evidence not in VENUES_WORD:
                yield f"{evidence} is not the exchange's word"
            if isinstance(event, e.OrderExpired) and evidence is Evidence.NEVER_PLACED and not order.is_day:
                yield "it had no day that ends"
        case e.SubmitFailed() if evidence not in VENUES_WORD | {Evidence.NEVER_SENT}:
            yield f"{evidence} does not say that an attempt failed"
        case e.CancelRejected() | e.ReplaceRejected() if evidence is Evidence.VENUE_CANNOT:
            can = order.venue.cancels if isinstance(event, e.CancelRejected) else order.venue.replaces
            if can:
                yield "the exchange can"
        case e.CancelRejected() | e.ReplaceRejected() if evidence not in VENUES_WORD:
            yield f"{evidence} is not the exchange's word"


def _faults_of_state(order: Reading) -> Iterator[str]:
    waits = order.cancel is not None or order.change is not None
    if order.status != "Placed" and waits:
        yield "something is pending after an end"
    if order.delivery in UNSENT and waits:
        yield "something is held for an order that is surely not there"
    if order.delivery in (*UNSENT, "acked") and order.unsettled:
        yield f"{order.delivery} with attempts that are not settled"
    if order.delivery == "in_doubt" and not order.doubted:
        yield "in doubt about nothing"
    if order.delivery == "acked" and order.cancel is not None and not order.venue.cancels:
        yield "a cancel waits for an exchange that cannot"
    if order.delivery == "acked" and order.change is not None and not order.venue.replaces:
        yield "a replace waits for an exchange that cannot"
    if order.is_limit != (order.limit_price is not None):
        yield "a limit order has a price, a market order none"
