"""POST /ops/projections/{name}/rebuild: an operator asks for a rebuild, which a projector carries out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from orders.http import POSITION_HEADER, local_account
from orders.parameters import take_none
from orders.path_segments import segment_text
from projections.queries import AskedRebuild

AnyRequest = Request[Any, Any, Any]

_TEXTS = {404: "There is no such projection", 422: "Wrong parameters", 503: "Not now: see Retry-After"}


def rebuild_router(
    ask: Callable[[str, str], Awaitable[AskedRebuild]],
    position: Callable[[], int],
    *,
    problem: type[msgspec.Struct] | None = None,
    account_of: Callable[[AnyRequest], str] = local_account,
) -> Router:
    """`ask` takes the projection's name and who asks. The handler raises what it raises."""
    refused = {
        status: ResponseSpec(problem, description=text, media_type="application/problem+json", generate_examples=False)
        for status, text in (_TEXTS if problem else {}).items()
        if problem is not None
    }

    @post(
        "/ops/projections/{name:str}/rebuild",
        status_code=202,
        summary="Rebuild a projection's tables beside the live ones",
        description="A projector does it; GET /ops/projections shows how far it is. Asked again meanwhile it is one.",
        responses=refused,
        tags=["operations"],
    )
    async def rebuild_projection(request: AnyRequest, name: FromPath[str]) -> Response[AskedRebuild]:
        take_none(request.query_params.multi_items())
        asked = await ask(segment_text(name), f"operator {account_of(request)}")
        return Response(asked, headers={POSITION_HEADER: str(position()), "Location": "/ops/projections"})

    return Router(path="/", route_handlers=[rebuild_projection], opt={"scope": "admin"})
