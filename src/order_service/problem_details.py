"""Every refusal as an RFC 9457 problem: one renderer for the whole app, over the tables of its parts."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import Struct

from orders.bounds import RETRY_AFTER_S
from orders.domain.errors import FieldError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TRACE_HEADER = "X-Trace-Id"

Handler = Callable[[Request[Any, Any, Any], Any], Response[bytes]]
Table = Mapping[type[Exception], tuple[int, str]]


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457. `detail` says what is wrong in a person's words; `errors` lists every wrong field or parameter.
    `trace_id` finds the log lines of a fault of ours."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    trace_id: str | None = None


def problem_handlers(*tables: Table) -> dict[type[Exception] | int, Handler]:
    """Litestar's exception handlers: those of the tables, and those for what Litestar itself raises."""
    handlers: dict[type[Exception] | int, Handler] = {}
    for table in tables:
        for kind, (status, title) in table.items():
            handlers[kind] = _refused(status, title)
    handlers[HTTPException] = _of_litestar
    handlers[Exception] = _fault
    return handlers


def _refused(status: int, title: str) -> Handler:
    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return _fault(request, error)
        errors = list(getattr(error, "errors", ()))
        return respond(Problem(title=title, status=status, detail=str(error), errors=errors))

    return handle


def _of_litestar(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    status = error.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _fault(request, error)
    title = HTTPStatus(status).phrase
    detail = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.scope['path']}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.scope['path']} does not take {request.scope['method']}",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large",
    }.get(HTTPStatus(status), error.detail)
    return respond(Problem(title=title, status=status, detail=detail), dict(error.headers or {}))


def _fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: the log has it in full, the client nothing of its inside."""
    trace_id = secrets.token_hex(16)
    log.error(
        "%s %s failed: %s",
        request.scope["method"],
        request.scope["path"],
        error,
        extra={"trace_id": trace_id},
        exc_info=error,
    )
    detail = "Something went wrong here; the trace id finds it in the log"
    problem = Problem(title="Internal Server Error", status=500, detail=detail, trace_id=trace_id)
    return respond(problem, {TRACE_HEADER: trace_id})


def respond(problem: Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    headers = headers or {}
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return Response(msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)
