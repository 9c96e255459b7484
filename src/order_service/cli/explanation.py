"""An order's life explained: what happened when and by what proof, what it waits for, and what can be done. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct

from order_service.cli.life_words import PROOF, Event, attempts_named, words_of

_UNWANTED = ("Canceled", "Expired")


class Step(Struct, frozen=True, kw_only=True):
    """`after_s`: seconds since the order was accepted, by the clocks of those who recorded it. `attempt` is the one
    that it is about, `proof` by what it may be said."""

    position: int
    at: str
    after_s: float
    event: str
    what: str
    attempt: int | None
    proof: str | None


class Explanation(Struct, frozen=True, kw_only=True):
    """`waiting_for` is None where nothing is to come any more. `can_do` are commands, or advice."""

    order_id: str
    order: str
    state: str
    steps: list[Step]
    attempts: int
    attempts_in_doubt: list[int]
    waiting_for: str | None
    can_do: list[str]


class _Life:
    """What the events say beside the order as it is: attempts in doubt, and requests without an answer."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.attempts = 0
        self.failures = 0
        self.in_doubt: set[int] = set()
        self.cancel_asked = False
        self.change_asked: Event | None = None
        self.reason: str | None = None
        self.never_placed = False
        self._terms: dict[str, Any] = {}
        self._began: datetime | None = None

    def tell(self, event: Event) -> None:
        fields = event.get("fields") or {}
        for name in ("quantity", "limit_price"):
            if (change := (event.get("changed") or {}).get(name)) is not None:
                self._terms[name] = change["after"]
        self._note(event["event"], event, fields)
        at = datetime.fromisoformat(event["at"])
        self._began = self._began or at
        self.steps.append(
            Step(
                position=event["position"],
                at=event["at"],
                after_s=round((at - self._began).total_seconds(), 3),
                event=event["event"],
                what=words_of(event, self._terms),
                attempt=fields.get("attempt"),
                proof=PROOF.get(event.get("evidence") or ""),
            )
        )
        if event["delivery"] in ("acked", "queued"):
            self.in_doubt.clear()

    def _note(self, name: str, event: Event, fields: Event) -> None:
        match name:
            case "SubmitStarted":
                self.attempts = fields["attempt"]
            case "SubmitInDoubt":
                self.in_doubt.add(fields["attempt"])
            case "PlacementParked":
                self.reason = event["reason"]
            case "PlacementResumed":
                self.failures = 0
            case "SubmitFailed":
                self.failures += event.get("evidence") != "never_sent"
                self.reason = event["reason"]
                self.in_doubt -= set(fields["attempts"])
            case "CancelRequested":
                self.cancel_asked = True
            case "ReplaceRequested":
                self.change_asked = fields
            case "OrderCanceled" | "CancelRejected":
                self.cancel_asked = False
            case "OrderReplaced" | "ReplaceRejected":
                self.change_asked = None
        if name in ("OrderCanceled", "OrderExpired"):
            self.never_placed = event.get("evidence") == "never_placed"


def explain(
    order: dict[str, Any], events: Iterable[Event], held: dict[str, Any] | None = None, *, own: bool = True
) -> Explanation:
    """`order` as GET /orders/{id} shows it, `events` its whole history, oldest first; `held` its line in the list of
    orders that wait for a person, where it stands there and the caller may see it. One that is not the caller's `own`
    can be canceled with a key of its account only."""
    life = _Life()
    for event in events:
        life.tell(event)
    waiting_for, can_do = _prospects(order, life, held, own)
    return Explanation(
        order_id=order["order_id"],
        order=_order(order),
        state=_state(order),
        steps=life.steps,
        attempts=life.attempts,
        attempts_in_doubt=sorted(life.in_doubt),
        waiting_for=waiting_for,
        can_do=can_do,
    )


def _order(order: dict[str, Any]) -> str:
    traded = order["instrument"] or order["symbol"]
    price = "at market" if order["limit_price"] is None else f"at {order['limit_price']} or better"
    key = f", key {order['client_order_id']}" if order["client_order_id"] else ""
    return f"{order['side']} {order['quantity']} {traded} {price}, {order['time_in_force']}{key}"


def _state(order: dict[str, Any]) -> str:
    filled = f"{order['filled_quantity']} of {order['quantity']} filled"
    if order["filled_quantity"]:
        filled += f" at {order['average_price']} on average"
    match order["status"], order["delivery"]:
        case "Placed", "queued":
            state = "waits to be sent"
        case "Placed", "sending":
            state = "is being sent"
        case "Placed", "in_doubt":
            state = "is in doubt: nobody knows whether the exchange has it"
        case "Placed", "parked":
            state = "is parked: nothing is sent until a person or a rule resumes it"
        case "Placed", _:
            state = "is at the exchange"
        case status, _:
            state = f"is {str(status).lower()}"
    return f"{state}; {filled}"


def _prospects(
    order: dict[str, Any], life: _Life, held: dict[str, Any] | None, own: bool
) -> tuple[str | None, list[str]]:
    order_id = order["order_id"]
    if order["status"] != "Placed":
        return _ended(order, life)
    where = [] if own else ["with a key of its account"]
    if order["delivery"] == "acked":
        where.append("where the exchange can cancel")
    cancel = [] if life.cancel_asked else [f"orders cancel {order_id}" + (f" ({', '.join(where)})" if where else "")]
    match order["delivery"]:
        case "queued":
            return _queued(life), [
                *cancel,
                "orders workers: whether an adapter runs",
                "orders alerts: the exchange's state",
            ]
        case "sending":
            waits = f"the exchange's answer to attempt {life.attempts}; past VENUE_CALL_TIMEOUT_S it is in doubt"
            return waits + _held_requests(life), cancel
        case "in_doubt":
            return _in_doubt(order_id, life, held), [*_settling(order_id, held), *cancel]
        case "parked":
            return f"a person: {life.reason}", [f"orders parked retry {order_id} --reason WHY", *cancel]
    return _at_exchange(order, life), cancel


def _ended(order: dict[str, Any], life: _Life) -> tuple[str | None, list[str]]:
    if order["status"] in _UNWANTED and life.never_placed and order["delivery"] == "acked":
        waits = "its end at the exchange: it ended here as never placed, and the exchange turned out to have it"
        return waits, ["nothing where the exchange can cancel: the adapter does; else call the exchange"]
    return None, []


def _queued(life: _Life) -> str:
    if life.failures:
        failed = f"{life.failures} failed, the last: {life.reason}"
        return f"the next attempt ({failed}); pauses grow up to half a minute"
    return "an adapter to send it, which takes a moment where one runs and the exchange answers"


def _in_doubt(order_id: str, life: _Life, held: dict[str, Any] | None) -> str:
    doubt = attempts_named(sorted(life.in_doubt))
    if held is None:
        who = "the adapter asks the exchange or sends it again where that is safe; else a person has to say"
    elif held["needs_person"]:
        who = "a person has to ask the exchange, and to say it"
    else:
        who = "the adapter finds out by itself"
    return f"certainty about {doubt}: {who}{_held_requests(life)}"


def _held_requests(life: _Life) -> str:
    if life.cancel_asked:
        return ". The cancel is held until that is settled: it ends the order, or goes to the exchange"
    if life.change_asked is not None:
        return ". The change is held until that is settled: it applies here, or goes to the exchange"
    return ""


def _settling(order_id: str, held: dict[str, Any] | None) -> list[str]:
    placed = f"orders parked resolve {order_id} --placed --reason WHO_SAID_SO"
    not_placed = f"orders parked resolve {order_id} --not-placed --reason WHO_SAID_SO"
    if held is not None and held.get("not_placed_from"):
        not_placed += f" (counts from {held['not_placed_from']})"
    return [placed, not_placed]


def _at_exchange(order: dict[str, Any], life: _Life) -> str:
    if life.cancel_asked:
        return "the exchange's word on the cancel; until then it may still be filled"
    if life.change_asked is not None:
        return "the exchange's word on the change; until then the old terms hold"
    left = order["quantity"] - order["filled_quantity"]
    return f"the exchange to fill {left} more, which is known here only where it reports fills"
