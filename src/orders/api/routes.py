"""POST, PUT, PATCH and DELETE of orders. Bodies are read by `order_fields`, not by Litestar; refusals are raised, and
become problems by the table in `problems.py`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from litestar import HttpMethod, MediaType, Request, Response, delete, post, route
from litestar.exceptions import InternalServerException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from orders.api import batch_results
from orders.api import documentation as doc
from orders.api.batch_results import BatchResult, result
from orders.api.commands import Accepted, Caller, OrderCommands
from orders.api.order_fields import KEY_HEADER
from orders.api.tracing import TRACE_HEADER, known_trace_id, trace_id_of
from orders.bounds import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES, RETRY_AFTER_S
from orders.domain.resource import OrderResource
from orders.eventstore.port import BrokenLog, CommitUnknown, EventStoreError, StoreUnavailable, TooLarge, UnknownEvent
from orders.http import COST, ETAG_HEADER, FAULTS, POSITION_HEADER, etag_of, json_body, local_account
from orders.parameters import existing_id, take_none

log = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]
AccountOf = Callable[[AnyRequest], str]
NotPlacedAnswer = Callable[[AnyRequest, Exception], Response[bytes]]

SINGULAR_SYMBOL = "EURUSD"
"""What /order trades where no symbol is given and DEFAULT_SYMBOL is empty: its clients have no field for it."""

NOT_PLACED = b'{"message": "%s"}' % batch_results.NOT_PLACED.encode()
_OURS = (Exception, EventStoreError, StoreUnavailable, CommitUnknown, UnknownEvent, TooLarge, BrokenLog)
"""What no table turns into a problem on POST; what a client or an overload caused keeps its own answer."""

_TRADE = {"scope": "trade"}

_GONE = InternalServerException
"""Litestar's word for a client that is gone."""

_encode = msgspec.json.Encoder().encode


def command_routes(
    commands: OrderCommands,
    *,
    problem: type[msgspec.Struct] | None = None,
    account_of: AccountOf = local_account,
    position: Callable[[], int] = lambda: 0,
) -> list[Any]:
    """`problem` describes a problem's body in the OpenAPI document; `position` is the highest that this process knows,
    for the answers without an order. The handlers raise what `problems.py` lists."""

    def not_placed(request: AnyRequest, error: Exception) -> Response[bytes]:
        return _not_placed(request, error, position())

    return [
        _placing(commands, problem, account_of, not_placed),
        _placing_many(commands, problem, account_of, not_placed, position),
        *_changing(commands, problem, account_of),
    ]


def _placing(
    commands: OrderCommands, problem: type[msgspec.Struct] | None, account_of: AccountOf, not_placed: NotPlacedAnswer
) -> Any:
    placed = {201: "It is durable, and will be placed", 200: "The key named this order before"}

    @post(
        ["/orders", "/order"],
        request_max_body_size=MAX_BODY_BYTES,
        opt=_TRADE,
        summary="Place an order",
        description="201: it is durable, and its placing at the exchange is guaranteed. 200: the key named it before.",
        responses=_responses(problem, placed, 400, 409, 413, 415, 422, 500, 503),
        operation_class=doc.PlaceOperation,
        exception_handlers=dict.fromkeys(_OURS, not_placed),
    )
    async def place_order(request: AnyRequest) -> ASGIResponse:
        take_none(request.query_params.multi_items())
        body = await json_body(request, _GONE)
        default = SINGULAR_SYMBOL if _is_singular(request) else None
        placing = commands.read(body, _key(request), default)
        caller = _caller(request, account_of)
        order_id = commands.order_id(caller, placing)
        request.scope["state"]["order_id"] = order_id
        accepted = await commands.place(caller, order_id, placing)
        location = ("Location", f"/orders/{order_id}")
        if accepted.repeated:
            return _answer(accepted, 200, _tag(accepted), location, ("Idempotent-Replayed", "true"))
        return _answer(accepted, 201, _tag(accepted), location)

    return place_order


def _placing_many(
    commands: OrderCommands,
    problem: type[msgspec.Struct] | None,
    account_of: AccountOf,
    not_placed: NotPlacedAnswer,
    position: Callable[[], int],
) -> Any:
    carried_out = ResponseSpec(list[BatchResult], description="What became of each, in order", generate_examples=False)

    @post(
        "/orders/batch",
        status_code=200,
        opt=_TRADE,
        request_max_body_size=MAX_BATCH_BODY_BYTES,
        summary="Place many orders",
        description=doc.PLACE_MANY,
        responses={200: carried_out, **_responses(problem, {}, 400, 413, 415, 422, 500, 503)},
        operation_class=doc.PlaceManyOperation,
        exception_handlers=dict.fromkeys(_OURS, not_placed),
    )
    async def place_orders(request: AnyRequest) -> ASGIResponse:
        take_none(request.query_params.multi_items())
        body = await json_body(request, _GONE)
        asked = await commands.read_all(body, _key(request))
        request.scope["state"].get(COST, _free)(len(asked))
        outcomes = await commands.place_all(_caller(request, account_of), asked)
        _tell_faults(request, [one for one in outcomes if isinstance(one, EventStoreError)], of=len(outcomes))
        results = [result(one) for one in outcomes]
        newest = max((one.order.position for one in results if one.order is not None), default=position())
        headers = [(POSITION_HEADER, str(newest))]
        return ASGIResponse(body=_encode(results), status_code=200, headers=headers, media_type=MediaType.JSON)

    return place_orders


def _changing(commands: OrderCommands, problem: type[msgspec.Struct] | None, account_of: AccountOf) -> list[Any]:
    paths = ["/orders/{order_id:str}", "/order/{order_id:str}"]
    replaced = {200: "The order with its new terms", 202: "The exchange has not answered yet"}
    canceled = {200: "The order, canceled", 202: "The exchange has not answered yet"}

    @route(
        paths,
        http_method=[HttpMethod.PUT, HttpMethod.PATCH],
        request_max_body_size=MAX_BODY_BYTES,
        status_code=200,
        opt=_TRADE,
        summary="Change quantity or limit price",
        description="Waits up to 2 s for the exchange.",
        responses=_responses(problem, replaced, 400, 404, 409, 413, 415, 422, 503),
        operation_class=doc.ReplaceOperation,
    )
    async def replace_order(request: AnyRequest, order_id: FromPath[str]) -> ASGIResponse:
        take_none(request.query_params.multi_items())
        body = await json_body(request, _GONE)
        accepted = await commands.replace(_caller(request, account_of), existing_id(order_id), body)
        # After a PUT a tag would say that the order is now, byte for byte, what was sent (RFC 9110, 9.3.4).
        tags = () if request.scope["method"] == HttpMethod.PUT else (_tag(accepted),)
        return _answer(accepted, 202 if accepted.pending else 200, *tags)

    @delete(
        paths,
        status_code=200,
        opt=_TRADE,
        summary="Cancel an order",
        description="Waits up to 2 s for the exchange.",
        responses=_responses(problem, canceled, 400, 404, 409, 422, 503),
    )
    async def cancel_order(request: AnyRequest, order_id: FromPath[str]) -> ASGIResponse:
        take_none(request.query_params.multi_items())
        accepted = await commands.cancel(_caller(request, account_of), existing_id(order_id))
        return _answer(accepted, 202 if accepted.pending else 200, _tag(accepted))

    @route(
        "/orders/batch",
        http_method=[HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE],
        status_code=404,
        opt=_TRADE,
        include_in_schema=False,
    )
    async def change_batch(request: AnyRequest) -> None:
        """Its POST has the path to itself, which would be a 405 here; but an order of that name is asked for."""
        take_none(request.query_params.multi_items())
        existing_id("batch")

    return [replace_order, cancel_order, change_batch]


def _free(orders: int) -> None:
    """Where there is no rate."""


def _caller(request: AnyRequest, account_of: AccountOf) -> Caller:
    return Caller(account=account_of(request), trace_id=known_trace_id(request))


def _key(request: AnyRequest) -> str | None:
    """Several headers count as one list (RFC 9110), which is no key."""
    given = request.headers.getall(KEY_HEADER, [])
    return ", ".join(given) if given else None


def _is_singular(request: AnyRequest) -> bool:
    return bool(request.scope["path"].rstrip("/") == "/order")


def _tag(accepted: Accepted) -> tuple[str, str]:
    return ETAG_HEADER, etag_of(accepted.order.version)


def _answer(accepted: Accepted, status: int, *more: tuple[str, str]) -> ASGIResponse:
    """Encoded here: Litestar's own way to the same bytes costs 5 µs more, of some 125 for a request."""
    headers = [(POSITION_HEADER, str(accepted.order.position)), *more]
    return ASGIResponse(body=_encode(accepted.order), status_code=status, headers=headers, media_type=MediaType.JSON)


def _not_placed(request: AnyRequest, error: Exception, position: int) -> Response[bytes]:
    """Whatever of ours kept the order from being durable: exactly this body."""
    trace_id = trace_id_of(request)
    headers = {"Retry-After": str(RETRY_AFTER_S), TRACE_HEADER: trace_id, POSITION_HEADER: str(position)}
    order_id = request.scope["state"].get("order_id")
    if isinstance(error, CommitUnknown) and order_id is not None:
        headers["Location"] = f"/orders/{order_id}"
    expected = isinstance(error, StoreUnavailable)
    log.error("order not placed: %s", error, extra={"trace_id": trace_id}, exc_info=None if expected else error)
    return Response(NOT_PLACED, status_code=500, headers=headers, media_type=MediaType.JSON)


def _tell_faults(request: AnyRequest, faults: Sequence[EventStoreError], of: int) -> None:
    """In the log and the figures, where the answer's own status says nothing of them. Raises the first where no order
    of the batch has another result."""
    if not faults:
        return
    if len(faults) == of:
        raise faults[0]
    request.scope["state"][FAULTS] = len(faults)
    text = "order not placed: %d of a batch of %d, the first: %s"
    log.error(text, len(faults), of, faults[0], extra={"trace_id": trace_id_of(request)})


def _responses(problem: type[msgspec.Struct] | None, others: dict[int, str], *statuses: int) -> dict[int, ResponseSpec]:
    found = {
        status: ResponseSpec(OrderResource, description=text, generate_examples=False)
        for status, text in others.items()
    }
    for status in statuses:
        if status == 500:
            found[status] = ResponseSpec(doc.NotPlaced, description=doc.REFUSED[status], generate_examples=False)
        elif problem is not None:
            media_type = "application/problem+json"
            text = doc.REFUSED[status]
            found[status] = ResponseSpec(problem, description=text, media_type=media_type, generate_examples=False)
    return found
