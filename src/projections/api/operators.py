"""/ops/projections: how far each projection is; and an operator asks for a rebuild, which a projector carries out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from orders.http import POSITION_HEADER, local_account
from orders.parameters import Asked, Parameters, take_none
from orders.path_segments import segment_text
from projections.api import documentation as doc
from projections.queries import AskedRebuild, ProjectionLag
from projections.reads import Reads

AnyRequest = Request[Any, Any, Any]
_Problems = dict[int, ResponseSpec]

TAG = "operations"

_TEXTS = {404: "There is no such projection", 422: "Wrong parameters", 503: "Not now: see Retry-After"}


def operators_router(
    reads: Reads,
    ask: Callable[[str, str], Awaitable[AskedRebuild]],
    *,
    problem: type[msgspec.Struct] | None = None,
    account_of: Callable[[AnyRequest], str] = local_account,
) -> Router:
    """`ask` takes the projection's name and who asks. The handlers raise what it and `reads` raise."""
    refused = {
        status: ResponseSpec(problem, description=text, media_type="application/problem+json", generate_examples=False)
        for status, text in (_TEXTS if problem else {}).items()
        if problem is not None
    }
    handlers = [_lags(reads, refused), _rebuild(reads, ask, account_of, refused)]
    return Router(path="/", route_handlers=handlers, tags=[TAG], opt={"scope": "admin"})


def _lags(reads: Reads, refused: _Problems) -> Any:
    @get(
        "/ops/projections",
        summary="How far each projection is behind the log",
        responses={status: spec for status, spec in refused.items() if status != 404},
        operation_class=doc.operation(*doc.FRESHNESS),
    )
    async def list_projections(request: AnyRequest) -> Response[list[ProjectionLag]]:
        given = Parameters(request.query_params.multi_items())
        asked = given.asked()
        given.check()
        position = await reads.position(asked)  # before the query, which sees the log up to there at least
        return Response(await reads.lags(), headers={POSITION_HEADER: str(position)})

    return list_projections


def _rebuild(
    reads: Reads,
    ask: Callable[[str, str], Awaitable[AskedRebuild]],
    account_of: Callable[[AnyRequest], str],
    refused: _Problems,
) -> Any:
    @post(
        "/ops/projections/{name:str}/rebuild",
        status_code=202,
        summary="Rebuild a projection's tables beside the live ones",
        description="A projector does it; GET /ops/projections shows how far it is. Asked again meanwhile it is one.",
        responses=refused,
    )
    async def rebuild_projection(request: AnyRequest, name: FromPath[str]) -> Response[AskedRebuild]:
        take_none(request.query_params.multi_items())
        asked = await ask(segment_text(name), f"operator {account_of(request)}")
        position = await reads.position(Asked())
        return Response(asked, headers={POSITION_HEADER: str(position), "Location": "/ops/projections"})

    return rebuild_projection
