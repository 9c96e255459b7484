"""What the answers of all lists have in common: the position, and pages with cursors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response

from orders.http import POSITION_HEADER
from orders.paging import next_link, page_asked, place_of
from orders.parameters import Parameters
from projections.bounds import MAX_PAGE
from projections.queries import Answer

T = TypeVar("T")
P = TypeVar("P")
AnyRequest = Request[Any, Any, Any]


def page(given: Parameters, filters: msgspec.Struct) -> tuple[int, int | None]:
    """`limit` and `cursor`, the last parameters to take. Raises InvalidParameters for all that is wrong."""
    return page_at(given, filters, place_of)


def page_at(given: Parameters, filters: msgspec.Struct, place: Callable[[str, object], P]) -> tuple[int, P | None]:
    """As `page`, where the list's places are what `place` reads from a cursor."""
    limit, after = page_asked(given, filters, place, MAX_PAGE)
    return limit or MAX_PAGE, after


def answered(answer: Answer[T]) -> Response[T]:
    return Response(answer.content, headers={POSITION_HEADER: str(answer.position)})


def paged(request: AnyRequest, answer: Answer[T], filters: msgspec.Struct) -> Response[T]:
    response = answered(answer)
    if answer.next is not None:
        params = request.query_params.multi_items()
        response.headers["Link"] = next_link(request.url.path, params, answer.next, filters)
    return response
