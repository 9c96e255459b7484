"""GET routes: orders, one order and its history, trades, books, the catalogue, and the projections' own lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from orders.domain.instruments import Catalogue
from orders.domain.resource import OrderResource
from orders.domain.values import Status
from orders.http import ETAG_HEADER, IF_NONE_MATCH_HEADER, POSITION_HEADER, etag_of, holds, local_account
from orders.parameters import Parameters, existing_id, whole_number
from orders.path_segments import segment_text
from projections.api import documentation as doc
from projections.api.listed_instruments import ListedInstrument, listed
from projections.api.listings import listing_routes
from projections.api.pages import AnyRequest, answered, page, paged
from projections.bounds import DEFAULT_BOOK_LEVELS, MAX_BOOK_LEVELS
from projections.history import HistoryEvent
from projections.order_book import Book
from projections.order_reads import OrderReads
from projections.queries import Answer, BookQuery, HistoryQuery, OrderQuery, OrdersQuery, Trade, TradesQuery
from projections.reads import Reads
from projections.registry import PROJECTIONS

AccountOf = Callable[[AnyRequest], str]


def query_router(
    reads: Reads,
    order_reads: OrderReads,
    catalogue: Catalogue,
    *,
    problem: type[msgspec.Struct] | None = None,
    account_of: AccountOf = local_account,
) -> Router:
    """`problem` describes a problem's body in the OpenAPI document. The handlers raise what `problems.py` lists, and
    UnknownOrder and EventStoreError."""
    handlers = [
        *_lists(reads, account_of, _problems(problem, 422, 503)),
        *listing_routes(reads, PROJECTIONS, account_of, _problems(problem, 422, 503)),
        *_one_order(order_reads, account_of, _problems(problem, 404, 422, 503)),
        *_anybodys_order(order_reads, _problems(problem, 404, 422, 503)),
        _book(reads, account_of, _problems(problem, 404, 422, 503)),
        _instruments(reads, catalogue, _problems(problem, 422, 503)),
    ]
    return Router(path="/", route_handlers=handlers, opt={"scope": "read"})


_NOT_MODIFIED = ResponseSpec(None, description="The client has it as it is", generate_examples=False)
_Problems = dict[int, ResponseSpec]


def _problems(problem: type[msgspec.Struct] | None, *statuses: int) -> _Problems:
    texts = {404: "There is no such thing", 422: "Wrong parameters", 503: "Not now: see Retry-After"}
    if problem is None:
        return {}
    return {
        status: ResponseSpec(
            problem, description=texts[status], media_type="application/problem+json", generate_examples=False
        )
        for status in statuses
    }


def _lists(reads: Reads, account_of: AccountOf, problems: _Problems) -> list[Any]:
    @get(
        ["/orders", "/order"],
        summary="Orders, newest first",
        responses=problems,
        operation_class=doc.operation(*doc.ORDERS, *doc.AS_OF_POSITION, *doc.PAGING, *doc.FRESHNESS),
    )
    async def list_orders(request: AnyRequest) -> Response[list[OrderResource]]:
        given = Parameters(request.query_params.multi_items())
        asked = given.asked()
        query = OrdersQuery(
            account=account_of(request),
            status=given.one_of("status", Status),
            symbol=given.symbol("symbol"),
            side=given.side("side"),
            client_order_id=given.client_order_id("client_order_id"),
            placed_after=given.time("placed_after"),
            placed_before=given.time("placed_before"),
            as_of=given.take("as_of", whole_number, doc.POSITION_ONLY),
        )
        limit, before = page(given, query)
        answer = await reads.orders(msgspec.structs.replace(query, limit=limit, before=before), asked)
        return paged(request, answer, query)

    @get(
        "/trades",
        summary="Fills that count, newest first",
        responses=problems,
        operation_class=doc.operation(*doc.TRADES, *doc.PAGING, *doc.FRESHNESS),
    )
    async def list_trades(request: AnyRequest) -> Response[list[Trade]]:
        given = Parameters(request.query_params.multi_items())
        asked = given.asked()
        given.absent("as_of", doc.NO_PAST_TRADES)
        query = TradesQuery(
            account=account_of(request), order_id=given.order_id("order_id"), symbol=given.symbol("symbol")
        )
        limit, before = page(given, query)
        answer = await reads.trades(msgspec.structs.replace(query, limit=limit, before=before), asked)
        return paged(request, answer, query)

    return [list_orders, list_trades]


def _one_order(order_reads: OrderReads, account_of: AccountOf, problems: _Problems) -> list[Any]:
    @get(
        ["/orders/{order_id:str}", "/order/{order_id:str}"],
        summary="One order, never stale",
        description="With If-None-Match and the ETag of an answer before (RFC 9110, 13.1.2): 304 while it is still so.",
        responses={**problems, 304: _NOT_MODIFIED},
        operation_class=doc.operation(*doc.AS_OF, *doc.FRESHNESS, doc.IF_NONE_MATCH),
    )
    async def show_order(request: AnyRequest, order_id: FromPath[str]) -> Response[OrderResource]:
        return await _shown(request, order_reads, account_of(request), order_id)

    @get("/orders/batch", include_in_schema=False)
    async def show_batch(request: AnyRequest) -> Response[OrderResource]:
        """Its POST has the path to itself, which would be a 405 here; but an order of that name is asked for."""
        return await _shown(request, order_reads, account_of(request), "batch")

    @get(
        ["/orders/{order_id:str}/events", "/order/{order_id:str}/events"],
        summary="What happened to an order, oldest first",
        responses=problems,
        operation_class=doc.operation(*doc.AS_OF, *doc.PAGING, *doc.FRESHNESS),
    )
    async def show_history(request: AnyRequest, order_id: FromPath[str]) -> Response[list[HistoryEvent]]:
        return await _told(request, order_reads, account_of(request), order_id)

    return [show_order, show_batch, show_history]


def _anybodys_order(order_reads: OrderReads, problems: _Problems) -> list[Any]:
    """For operators, whom alerts and the list of held orders send to orders of every account."""

    @get(
        "/ops/orders/{order_id:str}",
        opt={"scope": "admin"},
        summary="One order of any account, never stale",
        responses={**problems, 304: _NOT_MODIFIED},
        operation_class=doc.operation(*doc.AS_OF, *doc.FRESHNESS, doc.IF_NONE_MATCH),
        tags=["operations"],
    )
    async def show_anybodys_order(request: AnyRequest, order_id: FromPath[str]) -> Response[OrderResource]:
        return await _shown(request, order_reads, None, order_id)

    @get(
        "/ops/orders/{order_id:str}/events",
        opt={"scope": "admin"},
        summary="What happened to an order of any account, oldest first",
        responses=problems,
        operation_class=doc.operation(*doc.AS_OF, *doc.PAGING, *doc.FRESHNESS),
        tags=["operations"],
    )
    async def show_anybodys_history(request: AnyRequest, order_id: FromPath[str]) -> Response[list[HistoryEvent]]:
        return await _told(request, order_reads, None, order_id)

    return [show_anybodys_order, show_anybodys_history]


async def _shown(
    request: AnyRequest, order_reads: OrderReads, account: str | None, order_id: str
) -> Response[OrderResource]:
    given = Parameters(request.query_params.multi_items())
    asked, as_of = given.asked(), given.position_or_time("as_of")
    given.check()
    query = OrderQuery(account=account, order_id=existing_id(order_id), as_of=as_of)
    answer = await order_reads.order(query, asked)
    etag = etag_of(answer.content.version)
    if holds(request.headers.getall(IF_NONE_MATCH_HEADER, []), etag):
        return _tagged(Response(None, status_code=304), etag, answer.position)
    return _tagged(Response(answer.content), etag, answer.position)


async def _told(
    request: AnyRequest, order_reads: OrderReads, account: str | None, order_id: str
) -> Response[list[HistoryEvent]]:
    given = Parameters(request.query_params.multi_items())
    asked, as_of = given.asked(), given.position_or_time("as_of")
    query = HistoryQuery(account=account, order_id=existing_id(order_id), as_of=as_of)
    limit, after = page(given, query)
    answer = await order_reads.history(msgspec.structs.replace(query, limit=limit, after_version=after or 0), asked)
    return paged(request, answer, query)


def _book(reads: Reads, account_of: AccountOf, problems: _Problems) -> Any:
    @get(
        "/books/{symbol:str}",
        summary="Price levels of open limit orders",
        responses=problems,
        operation_class=doc.operation(*doc.BOOK, *doc.FRESHNESS),
    )
    async def show_book(request: AnyRequest, symbol: FromPath[str]) -> Response[Book]:
        given = Parameters(request.query_params.multi_items())
        asked, levels = given.asked(), given.number("levels", 1, MAX_BOOK_LEVELS)
        given.absent("as_of", doc.NO_PAST_BOOK)
        given.check()
        query = BookQuery(
            account=account_of(request), symbol=segment_text(symbol), levels=levels or DEFAULT_BOOK_LEVELS
        )
        return answered(await reads.book(query, asked))

    return show_book


def _instruments(reads: Reads, catalogue: Catalogue, problems: _Problems) -> Any:
    content = listed(catalogue)

    @get(
        "/instruments",
        summary="What can be traded",
        responses=problems,
        operation_class=doc.operation(*doc.FRESHNESS),
    )
    async def list_instruments(request: AnyRequest) -> Response[list[ListedInstrument]]:
        given = Parameters(request.query_params.multi_items())
        asked = given.asked()
        given.check()
        return answered(Answer(content=content, position=await reads.position(asked)))

    return list_instruments


def _tagged(response: Response[Any], etag: str, position: int) -> Response[Any]:
    """A cache may keep it, and asks each time whether it is still so (RFC 9111, 5.2.2.4): it is never stale."""
    response.headers.update({POSITION_HEADER: str(position), ETAG_HEADER: etag, "Cache-Control": "no-cache"})
    return response
