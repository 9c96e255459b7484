"""The events of an order in plain words. Pure: from what GET /orders/{id}/events tells, to sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Terms = dict[str, Any]
"""`quantity` and `limit_price` of the order after the event."""

_ADAPTER = "exchange adapter"

PROOF = {
    "venue_answer": "the exchange's answer",
    "venue_report": "an execution report",
    "venue_query": "the exchange was asked",
    "venue_cannot": "the exchange has no such operation",
    "never_placed": "the exchange surely never had it",
    "never_sent": "the attempt surely never left",
    "operator": "a person's word",
}


def words_of(event: Event, terms: Terms) -> str:
    """What happened, in one line. An event of a later release is told by its name."""
    words = _WORDS.get(event["event"])
    return str(event["event"]) if words is None else words(event, event.get("fields") or {}, terms)


def attempts_named(numbers: list[int]) -> str:
    return f"attempt{'s' * (len(numbers) != 1)} {', '.join(map(str, numbers))}"


def terms_named(quantity: Any, limit_price: Any) -> str:
    return str(quantity) if limit_price is None else f"{quantity} at {limit_price}"


def _placed(event: Event, fields: Event, terms: Terms) -> str:
    return f"accepted from {event['by']}; it is durable, and will be placed"


def _started(event: Event, fields: Event, terms: Terms) -> str:
    return f"attempt {fields['attempt']} to place it begins (worker {fields['worker']})"


def _failed(event: Event, fields: Event, terms: Terms) -> str:
    return f"{attempts_named(fields['attempts'])} surely did not arrive: {event['reason']}"


def _doubted(event: Event, fields: Event, terms: Terms) -> str:
    return f"attempt {fields['attempt']} is in doubt, nobody knows whether it arrived: {event['reason']}"


def _accepted(event: Event, fields: Event, terms: Terms) -> str:
    named = fields.get("venue_order_id")
    return "the exchange has it" + (f", as {named}" if named else "")


def _rejected(event: Event, fields: Event, terms: Terms) -> str:
    return f"the exchange rejected it: {event['reason']}"


def _executed(event: Event, fields: Event, terms: Terms) -> str:
    done = f"{event['filled_quantity']} of {terms['quantity']} now"
    return f"{fields['quantity']} filled at {fields['price']}, {done} (execution {fields['exec_id']})"


def _busted(event: Event, fields: Event, terms: Terms) -> str:
    done = f"{event['filled_quantity']} of {terms['quantity']} now"
    return f"the exchange took execution {fields['ref_exec_id']} back, {done}"


def _corrected(event: Event, fields: Event, terms: Terms) -> str:
    done = f"{event['filled_quantity']} of {terms['quantity']} now"
    corrected = f"{fields['quantity']} at {fields['price']}, {done} (execution {fields['exec_id']})"
    return f"the exchange corrected execution {fields['ref_exec_id']} to {corrected}"


def _cancel_asked(event: Event, fields: Event, terms: Terms) -> str:
    return f"{event['by']} asks to cancel it"


def _canceled(event: Event, fields: Event, terms: Terms) -> str:
    """By whom, where that is no answer of the exchange's."""
    by = f" by {event['by']}" if event["by"] != _ADAPTER else ""
    return f"canceled{by}" + (f": {event['reason']}" if event.get("reason") else "")


def _replace_asked(event: Event, fields: Event, terms: Terms) -> str:
    return f"{event['by']} asks to change it to {terms_named(fields['quantity'], fields.get('limit_price'))}"


def _replaced(event: Event, fields: Event, terms: Terms) -> str:
    late = " by the exchange's late word, after it had ended" if fields.get("late") else ""
    return f"changed to {terms_named(fields['quantity'], fields.get('limit_price'))}{late}"


def _resolved(event: Event, fields: Event, terms: Terms) -> str:
    return (
        f"{event['by']} says that the exchange {'has' if fields['placed'] else 'does not have'} it: {event['reason']}"
    )


def _with_reason(words: str) -> Callable[[Event, Event, Terms], str]:
    return lambda event, fields, terms: words + (f": {event['reason']}" if event.get("reason") else "")


_WORDS: dict[str, Callable[[Event, Event, Terms], str]] = {
    "OrderPlaced": _placed,
    "SubmitStarted": _started,
    "SubmitFailed": _failed,
    "SubmitInDoubt": _doubted,
    "OrderAccepted": _accepted,
    "OrderRejected": _rejected,
    "OrderExecuted": _executed,
    "ExecutionBusted": _busted,
    "ExecutionCorrected": _corrected,
    "CancelRequested": _cancel_asked,
    "OrderCanceled": _canceled,
    "CancelRejected": _with_reason("the cancel is refused"),
    "ReplaceRequested": _replace_asked,
    "OrderReplaced": _replaced,
    "ReplaceRejected": _with_reason("the change is refused"),
    "OrderExpired": _with_reason("expired"),
    "PlacementParked": _with_reason("parked, out of the queue"),
    "PlacementResumed": lambda event, fields, terms: f"back in the queue, by {event['by']}: {event['reason']}",
    "OperatorResolved": _resolved,
}
