"""The simulated exchange as a venue: it does all that a venue can do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import structlog

from exchange_adapter.bounds import ANSWER_MARGIN_S
from exchange_adapter.exchange_link import ExchangeLink
from exchange_adapter.simulated_reports import SimulatedReports
from exchange_adapter.venue import (
    CancelRequest,
    Done,
    Found,
    NotFound,
    NotSent,
    Placed,
    QueryOutcome,
    Refused,
    ReplaceRequest,
    ReportPosition,
    ReportStream,
    RequestOutcome,
    SubmitOutcome,
    Unknown,
    UnknownOrder,
    VenueExecution,
    VenueOrder,
    VenueState,
)
from exchange_adapter.wire import Answer
from orders.domain.values import Capabilities

log = structlog.get_logger(__name__)

LATE_ARRIVAL_S = 60.0  # the exchange's own bound on how late it looks at a request
_BAD_REQUEST = "bad_request"
"""The exchange cannot read these terms: the same request would be answered the same for ever."""


class SimulatedVenue:
    capabilities: ClassVar[Capabilities] = Capabilities(
        deduplicates=True,
        queries=True,
        cancels=True,
        replaces=True,
        reports=True,
        repeats_answers=True,
        late_arrival_s=LATE_ARRIVAL_S,
    )

    def __init__(self, address: str, *, call_timeout_s: float = 10.0) -> None:
        """`address` is a Unix socket's path or host:port. Nothing is connected until it is needed."""
        self._address = address
        self._link = ExchangeLink(address)
        self._timeout_s = max(call_timeout_s - ANSWER_MARGIN_S, call_timeout_s / 2)

    def submit(self, order: VenueOrder) -> SubmitOutcome:
        answer = self._call(
            op="submit",
            order_id=str(order.order_id),
            symbol=order.symbol,
            side=order.side.value,
            type=order.type.value,
            quantity=order.quantity,
            limit_price=_price_text(order.limit_price),
            time_in_force=order.time_in_force.value,
        )
        if not isinstance(answer, Answer):
            return answer
        if answer.error == "terms_differ":
            # The venue has an order of this id all the same, and that is what this outcome says.
            log.error("exchange has the order with other terms", order_id=str(order.order_id), message=answer.message)
            answer = Answer(
                outcome=answer.first_outcome or "", venue_order_id=answer.venue_order_id, reason=answer.message
            )
        if answer.error == _BAD_REQUEST:
            return Refused(_words(answer))
        match answer.outcome:
            case "accepted":
                return Placed(answer.venue_order_id)
            case "rejected":
                return Refused(answer.reason or "no reason given")
        return _not_an_outcome(answer)

    def cancel(self, request: CancelRequest) -> RequestOutcome:
        answer = self._call(
            op="cancel", order_id=str(request.order_id), request_id=str(request.request_id), base=str(request.base)
        )
        return answer if not isinstance(answer, Answer) else _request_outcome(answer, "canceled")

    def replace(self, request: ReplaceRequest) -> RequestOutcome:
        answer = self._call(
            op="replace",
            order_id=str(request.order_id),
            request_id=str(request.request_id),
            base=str(request.base),
            quantity=request.quantity,
            limit_price=_price_text(request.limit_price),
        )
        return answer if not isinstance(answer, Answer) else _request_outcome(answer, "replaced")

    def query(self, order_id: UUID) -> QueryOutcome:
        answer = self._call(op="query", order_id=str(order_id))
        if not isinstance(answer, Answer):
            return answer
        match answer.outcome:
            case "found":
                return _found(answer)
            case "not_found":
                return NotFound()
        return _not_an_outcome(answer)

    def reports(self, after: ReportPosition) -> ReportStream:
        return SimulatedReports(self._address, after)

    def close(self) -> None:
        self._link.close()

    def _call(self, **message: Any) -> Answer | NotSent | Unknown:
        return self._link.call(message, self._timeout_s)


def _request_outcome(answer: Answer, done: str) -> RequestOutcome:
    if answer.error == _BAD_REQUEST:
        return Refused(_words(answer))
    match answer.outcome, answer.reason:
        case outcome, _ if outcome == done:
            return Done(answer.quantity, price(answer.limit_price))
        case "rejected", "unknown order":
            return UnknownOrder()
        case "rejected", reason:
            return Refused(reason or "no reason given")
    return _not_an_outcome(answer)


def _found(answer: Answer) -> Found:
    return Found(
        state=VenueState(answer.state),
        venue_order_id=answer.venue_order_id,
        quantity=answer.quantity,
        limit_price=price(answer.limit_price),
        filled=answer.filled,
        executions=tuple(
            VenueExecution(exec_id=done.exec_id, quantity=done.quantity, price=Decimal(done.price))
            for done in answer.executions
        ),
        terms_id=answer.terms_id,
        reason=answer.reason,
    )


def _not_an_outcome(answer: Answer) -> NotSent | Unknown:
    """An error means that the request changed nothing; anything else is not in the protocol."""
    if answer.error:
        return NotSent(_words(answer))
    return Unknown(f"the exchange answered {answer.outcome!r}")


def _words(answer: Answer) -> str:
    return f"{answer.error}: {answer.message}" if answer.message else f"{answer.error}"


def price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _price_text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
