"""/ops: what operators see of the exchange adapter, and do about orders that are held."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.exceptions import InternalServerException
from litestar.params import FromPath
from msgspec import Struct

from exchange_adapter.adapter_tables import AdapterTables, AlertKind, HeldQuery, WorkerRow
from exchange_adapter.api import documentation as doc
from exchange_adapter.api.bodies import (
    AskedAction,
    ResolveBody,
    ResolveOneBody,
    RetryBody,
    RetryOneBody,
    cursor_after,
    read_action,
)
from exchange_adapter.bounds import DEFAULT_HELD_PAGE, MAX_HELD_PAGE
from exchange_adapter.held_orders import HELD, HeldOrder
from exchange_adapter.operations import ActionResult, Operations
from orders.bounds import MAX_BODY_BYTES, MAX_TEXT
from orders.domain.values import Delivery
from orders.http import POSITION_HEADER, json_body, local_account
from orders.paging import next_link, page_asked, place_of
from orders.parameters import Asked, Parameters, take_none

AnyRequest = Request[Any, Any, Any]
AccountOf = Callable[[AnyRequest], str]


class ActionAnswer(Struct, frozen=True, kw_only=True):
    """Of each order what came of it; where `more` are left, `cursor` goes into the next request's body. `as_of` is the
    position of the log up to which orders were taken: as `until` it keeps other requests to the same. `skipped` orders
    were left out, since the service goes on with them by itself."""

    results: list[ActionResult]
    as_of: int | None
    skipped: int
    more: bool
    cursor: str | None


class Facts(Struct, frozen=True):
    """`position` is the highest of the log that this process knows.

    `caught_up` waits until the tables of duties and alerts hold the position that a read asks for; without one nothing
    waits, so that what is held is seen also while their follower stands. It raises InvalidParameters for a position
    beyond the log's head, and what says that the wait ran out.
    """

    position: Callable[[], int]
    caught_up: Callable[[Asked], Awaitable[object]]


def operations_router(
    operations: Operations,
    tables: AdapterTables,
    facts: Facts,
    *,
    problem: type[msgspec.Struct] | None = None,
    account_of: AccountOf = local_account,
) -> Router:
    """`problem` describes a problem's body in the OpenAPI document. The handlers raise what `problems.py` lists,
    request errors, UnknownOrder, NotApplicable, EventStoreError, and what `facts` raises."""
    handlers = [
        _held(operations, facts, problem),
        *_actions(operations, facts, problem, account_of),
        *_one_action(operations, facts, problem, account_of),
        *_lists(tables, facts, problem),
    ]
    return Router(path="/ops", route_handlers=handlers, tags=[doc.TAG], opt={"scope": "admin"})


def _held(operations: Operations, facts: Facts, problem: type[msgspec.Struct] | None) -> Any:
    @get(
        "/parked",
        summary="Orders in doubt and parked, oldest first",
        responses=doc.problems(problem, (422, 503)),
        operation_class=doc.asking(*doc.HELD_FILTERS, *doc.FRESHNESS),
    )
    async def list_held(request: AnyRequest) -> Response[list[HeldOrder]]:
        given = Parameters(request.query_params.multi_items())
        asked = given.asked()
        filters = HeldQuery(
            delivery=given.take("delivery", _held_delivery, f"one of {', '.join(HELD)}"),
            worker=given.take("worker", _worker, "the name of a worker"),
            symbol=given.symbol("symbol"),
            order_id=given.order_id("order_id"),
        )
        limit, after = page_asked(given, filters, place_of, MAX_HELD_PAGE)
        await facts.caught_up(asked)
        page = await operations.held(msgspec.structs.replace(filters, limit=limit or DEFAULT_HELD_PAGE, after=after))
        response = Response(page.orders, headers={POSITION_HEADER: str(page.position)})
        if page.next is not None:
            params = request.query_params.multi_items()
            response.headers["Link"] = next_link(request.url.path, params, page.next, filters)
        return response

    return list_held


def _actions(
    operations: Operations, facts: Facts, problem: type[msgspec.Struct] | None, account_of: AccountOf
) -> list[Any]:
    refused = doc.problems(problem, (400, 409, 413, 415, 422, 503))

    async def act(request: AnyRequest, schema: type[Struct]) -> Response[ActionAnswer]:
        asked = await _asked(request, schema)
        done = await operations.act_on(asked.chosen, asked.action, _by(request, account_of), dry_run=asked.dry_run)
        cursor = None if done.next is None else cursor_after(done.next, asked)
        answer = ActionAnswer(
            results=done.results, as_of=done.as_of, skipped=done.skipped, more=cursor is not None, cursor=cursor
        )
        return Response(answer, headers={POSITION_HEADER: str(facts.position())})

    @post(
        "/parked/retry",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Send parked orders again",
        responses=refused,
        operation_class=doc.asking(body=RetryBody),
    )
    async def retry_orders(request: AnyRequest) -> Response[ActionAnswer]:
        return await act(request, RetryBody)

    @post(
        "/parked/resolve",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Say of orders in doubt whether the exchange has them",
        responses=refused,
        operation_class=doc.asking(body=ResolveBody),
    )
    async def resolve_orders(request: AnyRequest) -> Response[ActionAnswer]:
        return await act(request, ResolveBody)

    return [retry_orders, resolve_orders]


def _one_action(
    operations: Operations, facts: Facts, problem: type[msgspec.Struct] | None, account_of: AccountOf
) -> list[Any]:
    refused = doc.problems(problem, (400, 404, 409, 413, 415, 422, 503))

    async def act(request: AnyRequest, order_id: str, schema: type[Struct]) -> Response[ActionResult]:
        asked = await _asked(request, schema)
        by = _by(request, account_of)
        done = await operations.act_on_one(order_id, asked.action, by, dry_run=asked.dry_run)
        return Response(done, headers={POSITION_HEADER: str(facts.position())})

    @post(
        "/parked/{order_id:str}/retry",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Send one parked order again",
        responses=refused,
        operation_class=doc.asking(body=RetryOneBody),
    )
    async def retry_order(request: AnyRequest, order_id: FromPath[str]) -> Response[ActionResult]:
        return await act(request, order_id, RetryOneBody)

    @post(
        "/parked/{order_id:str}/resolve",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        summary="Say of one order in doubt whether the exchange has it",
        responses=refused,
        operation_class=doc.asking(body=ResolveOneBody),
    )
    async def resolve_order(request: AnyRequest, order_id: FromPath[str]) -> Response[ActionResult]:
        return await act(request, order_id, ResolveOneBody)

    return [retry_order, resolve_order]


def _lists(tables: AdapterTables, facts: Facts, problem: type[msgspec.Struct] | None) -> list[Any]:
    refused, fresh = doc.problems(problem, (422, 503)), doc.asking(*doc.FRESHNESS)

    async def caught_up(request: AnyRequest) -> int:
        """The position that the log surely has."""
        given = Parameters(request.query_params.multi_items())
        asked = given.asked()
        given.check()
        await facts.caught_up(asked)
        return max(facts.position(), asked.min_position or 0)

    @get("/workers", summary="The adapter processes", responses=refused, operation_class=fresh)
    async def list_workers(request: AnyRequest) -> Response[list[WorkerRow]]:
        position = await caught_up(request)
        return Response(await tables.workers(), headers={POSITION_HEADER: str(position)})

    @get("/alerts", summary="Open alerts by kind", responses=refused, operation_class=fresh)
    async def list_alerts(request: AnyRequest) -> Response[list[AlertKind]]:
        await caught_up(request)
        held = await tables.position()  # before the alerts: they hold that at least
        return Response(await tables.alerts(), headers={POSITION_HEADER: str(held)})

    return [list_workers, list_alerts]


async def _asked(request: AnyRequest, schema: type[Struct]) -> AskedAction:
    take_none(request.query_params.multi_items())
    return read_action(await json_body(request, InternalServerException), schema)


def _by(request: AnyRequest, account_of: AccountOf) -> str:
    return f"operator {account_of(request)}"


def _held_delivery(text: str) -> Delivery:
    delivery = Delivery(text)
    if delivery not in HELD:
        raise ValueError(text)
    return delivery


def _worker(text: str) -> str:
    if not 1 <= len(text) <= MAX_TEXT or not text.isprintable():
        raise ValueError(text)
    return text
