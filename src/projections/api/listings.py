"""The lists that projections bring along: a GET route each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec

from orders.paging import text_place_of
from orders.parameters import Parameters
from projections.api import documentation as doc
from projections.api.pages import AnyRequest, page_at, paged
from projections.projection import Listing, Projection
from projections.queries import ListQuery
from projections.reads import Reads


def listing_routes(
    reads: Reads,
    projections: Sequence[Projection],
    account_of: Callable[[AnyRequest], str],
    problems: Mapping[int, ResponseSpec],
) -> Iterator[Any]:
    for projection in projections:
        if projection.listing is not None:
            yield _route(reads, projection, projection.listing, account_of, problems)


def _route(
    reads: Reads,
    projection: Projection,
    listing: Listing,
    account_of: Callable[[AnyRequest], str],
    problems: Mapping[int, ResponseSpec],
) -> Any:
    async def list_rows(request: AnyRequest) -> Response[Any]:
        given = Parameters(request.query_params.multi_items())
        asked = given.asked()
        query = ListQuery(account=account_of(request), symbol=given.symbol("symbol"))
        limit, after = page_at(given, query, _place)
        page = msgspec.structs.replace(query, limit=limit, after=after)
        return paged(request, await reads.listed(projection, listing, page, asked), query)

    # The OpenAPI document tells the rows by their own struct.
    list_rows.__annotations__["return"] = Response[list[listing.row]]  # type: ignore[name-defined]
    return get(
        listing.path,
        summary=listing.summary,
        responses=problems,
        operation_class=doc.operation(*doc.LISTING, *doc.PAGING, *doc.FRESHNESS),
    )(list_rows)


def _place(cursor: str, filters: object) -> str:
    place = text_place_of(cursor, filters)
    if not place.isprintable():  # nothing that the database takes for no text
        raise ValueError(cursor)
    return place
