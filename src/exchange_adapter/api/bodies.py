"""The bodies of the operators' actions: read strictly, with every wrong field named."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from exchange_adapter.bounds import MAX_ACTIONS
from exchange_adapter.operations import Action, Chosen, Resolve, Retry
from orders.body_fields import BodyFields, text
from orders.bounds import MAX_TEXT
from orders.paging import cursor_of, place_of
from orders.request_errors import WrongFields
from orders.strict_json import decode_object

_CHOICES = ("order_ids", "worker", "all")
_OUTCOMES = {"placed": True, "not_placed": False}
_OF_A_SET = ("until", "cursor")
_MAX_POSITION = 2**63 - 1

OrderId = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
OrderIds = Annotated[list[OrderId], Meta(min_length=1, max_length=MAX_ACTIONS)]
Reason = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, description="Why; the order's history keeps it.")]
DryRun = Annotated[bool, Meta(description="Only say what would be done.")]
Outcome = Annotated[Literal["placed", "not_placed"], Meta(description="Whether the exchange has the orders.")]
Cursor = Annotated[str, Meta(description="From the answer before, where `more` are left; not with `order_ids`.")]
Until = Annotated[
    int, Meta(ge=0, le=_MAX_POSITION, description="No order that changed after this position; not with `order_ids`.")
]


class RetryBody(Struct, frozen=True, kw_only=True):
    """Exactly one of `order_ids`, `worker` and `all`."""

    order_ids: OrderIds | None = None
    worker: str | None = None
    all: bool | None = None
    until: Until | None = None
    cursor: Cursor | None = None
    reason: Reason
    dry_run: DryRun = False


class ResolveBody(Struct, frozen=True, kw_only=True):
    """Exactly one of `order_ids`, `worker` and `all`."""

    order_ids: OrderIds | None = None
    worker: str | None = None
    all: bool | None = None
    until: Until | None = None
    cursor: Cursor | None = None
    outcome: Outcome
    reason: Reason
    dry_run: DryRun = False


class RetryOneBody(Struct, frozen=True, kw_only=True):
    reason: Reason
    dry_run: DryRun = False


class ResolveOneBody(Struct, frozen=True, kw_only=True):
    outcome: Outcome
    reason: Reason
    dry_run: DryRun = False


class AskedAction(Struct, frozen=True):
    chosen: Chosen
    action: Action
    dry_run: bool


def read_action(body: bytes, schema: type[Struct]) -> AskedAction:
    """What a body of one of the structs above asks for. Raises: MalformedBody, InvalidOrder, WrongFields."""
    fields = BodyFields(decode_object(body), schema)
    known = schema.__struct_fields__
    kind = Resolve if "outcome" in known else Retry
    chosen = _chosen(fields, kind) if "order_ids" in known else Chosen()
    placed = fields.read("outcome", _outcome, required=True) if "outcome" in known else None
    reason = fields.read("reason", _reason, required=True)
    dry_run = bool(fields.read("dry_run", _flag))
    if fields.errors:
        raise WrongFields(fields.ordered_errors())
    action = Retry(reason) if placed is None else Resolve(reason, placed)
    return AskedAction(chosen, action, dry_run)


def cursor_after(place: int, asked: AskedAction) -> str:
    """What a body's `cursor` says for the orders after this place: for the same action, and worker or all."""
    return cursor_of(place, _shared_by_pages(type(asked.action), asked.chosen.worker))


def _shared_by_pages(kind: type[Action], worker: str | None) -> tuple[str, str | None]:
    return kind.__name__, worker


def _chosen(fields: BodyFields, kind: type[Action]) -> Chosen:
    order_ids = fields.read("order_ids", _order_ids)
    worker = fields.read("worker", _worker)
    everything = fields.read("all", _all)
    until = fields.read("until", _until)
    after = fields.read("cursor", lambda value: _place(value, _shared_by_pages(kind, worker)))
    given = [name for name, value in zip(_CHOICES, (order_ids, worker, everything), strict=True) if value is not None]
    if len(given) != 1 and not fields.is_wrong(*_CHOICES):
        fields.refuse(given[1] if given else "order_ids", "Give exactly one of `order_ids`, `worker` and `all`")
    for name, value in zip(_OF_A_SET, (until, after), strict=True):
        if order_ids is not None and value is not None:
            fields.refuse(name, f"`{name}` goes with `worker` or `all` only")
    return Chosen(order_ids=order_ids, worker=worker, until=until, after=after)


def _order_ids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("Order ids must be a list of strings")
    if not 1 <= len(value) <= MAX_ACTIONS:
        raise ValueError(f"Order ids must be 1 to {MAX_ACTIONS}")
    return tuple(_bounded(one, "Each order id") for one in value)


def _worker(value: Any) -> str:
    return _bounded(value, "Worker")


def _reason(value: Any) -> str:
    return _bounded(value, "Reason")


def _bounded(value: Any, what: str) -> str:
    """Something to read: not blank, and nothing that a log or PostgreSQL cannot hold."""
    given = text(value).strip()
    if not 1 <= len(given) <= MAX_TEXT or not given.isprintable():
        raise ValueError(f"{what} must have 1 to {MAX_TEXT} characters, without line breaks")
    return given


def _all(value: Any) -> bool:
    if value is not True:
        raise ValueError("All must be true, or left out")
    return True


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Dry run must be true or false")
    return value


def _outcome(value: Any) -> bool:
    if not isinstance(value, str) or value not in _OUTCOMES:
        raise ValueError("Outcome must be placed or not_placed")
    return _OUTCOMES[value]


def _until(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_POSITION:
        raise ValueError("Until must be a position: a whole number from 0")
    return value


def _place(value: Any, filters: object) -> int:
    try:
        return place_of(text(value), filters)
    except ValueError:
        raise ValueError("Cursor must be that of the answer before, for the same action and worker") from None
