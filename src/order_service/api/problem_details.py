"""Every refusal as an RFC 9457 problem: one renderer for the whole app, over the tables of its parts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from order_service.security.door import refusal_of
from orders.api.tracing import TRACE_HEADER, trace_id_of
from orders.bounds import RETRY_AFTER_S
from orders.domain.errors import FieldError
from orders.http import BLANK, POSITION_HEADER, problem_type
from orders.strict_json import encodable, shortened
from projections.feed_client import NOT_PERMITTED

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

AnyRequest = Request[Any, Any, Any]
Handler = Callable[[AnyRequest, Any], Response[bytes]]
Table = Mapping[type[Exception], tuple[int, str]]


class Problem(Struct, frozen=True, kw_only=True):
    """RFC 9457. `detail` says what is wrong in a person's words; `errors` lists every wrong field or parameter.
    `trace_id` is the caller's own, or finds the log lines of a fault of ours."""

    type: str = BLANK
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    trace_id: str


class Problems:
    """Renders exceptions. `details` are the words for errors whose own are for the log; `position` is the highest
    position that this process knows, which is told to whom `tells_position` says: how it grows tells how busy the desk
    is."""

    def __init__(
        self,
        *tables: Table,
        details: Mapping[type[Exception], str] | None = None,
        position: Callable[[], int] = lambda: 0,
        tells_position: Callable[[Scope], bool] = lambda scope: True,
    ) -> None:
        self._tables = tables
        self._details = details or {}
        self._position = position
        self._tells_position = tells_position

    def handlers(self) -> dict[type[Exception] | int, Handler]:
        """Litestar's exception handlers: those of the tables, and those for what Litestar itself raises."""
        handlers: dict[type[Exception] | int, Handler] = {HTTPException: self._of_litestar, Exception: self._fault}
        for table in self._tables:
            handlers.update({kind: self._listed(kind, *row) for kind, row in table.items()})
        return handlers

    def _listed(self, kind: type[Exception], status: int, title: str) -> Handler:
        def handle(request: AnyRequest, error: Exception) -> Response[bytes]:
            if status == HTTPStatus.INTERNAL_SERVER_ERROR:
                return self._fault(request, error)
            detail = self._details.get(kind)
            if detail is not None:
                log.warning("%s: %s", _asked(request), error, extra={"trace_id": trace_id_of(request)})
            problem = Problem(
                type=problem_type(kind),
                title=title,
                status=status,
                detail=detail or str(error),
                errors=list(getattr(error, "errors", ())),
                trace_id=trace_id_of(request),
            )
            return self._respond(request, problem, getattr(error, "headers", None))

        return handle

    def _of_litestar(self, request: AnyRequest, error: HTTPException) -> Response[bytes]:
        if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._fault(request, error)
        status = HTTPStatus(error.status_code)
        path = request.scope["path"]
        detail = {
            HTTPStatus.NOT_FOUND: f"There is nothing at {path}",
            HTTPStatus.METHOD_NOT_ALLOWED: f"{path} does not take {request.scope['method']}",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large",
        }.get(status, error.detail)
        problem = Problem(title=status.phrase, status=status.value, detail=detail, trace_id=trace_id_of(request))
        return self._respond(request, problem, dict(error.headers or {}))

    def _fault(self, request: AnyRequest, error: Exception) -> Response[bytes]:
        """A fault of ours: the log has it in full, the client nothing of its inside."""
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        trace_id = trace_id_of(request)
        log.error("%s failed: %s", _asked(request), error, extra={"trace_id": trace_id}, exc_info=error)
        detail = "Something went wrong here; the trace id finds it in the log"
        problem = Problem(title=status.phrase, status=status.value, detail=detail, trace_id=trace_id)
        return self._respond(request, problem)

    def _respond(self, request: AnyRequest, problem: Problem, more: Mapping[str, str] | None = None) -> Response[bytes]:
        headers = {**(more or {}), TRACE_HEADER: problem.trace_id}
        if self._tells_position(request.scope):
            headers[POSITION_HEADER] = str(self._position())
        if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = str(RETRY_AFTER_S)
        return Response(_encoded(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def refusals_told(app: ASGIApp, problems: Problems) -> ASGIApp:
    """What did not pass the door goes no further. A WebSocket is not connected: a page of others hears nothing."""
    handlers = problems.handlers()

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        refused = refusal_of(scope)
        if refused is None:
            await app(scope, receive, send)
        elif scope["type"] == ScopeType.WEBSOCKET:
            await receive()
            await send({"type": "websocket.close", "code": NOT_PERMITTED, "reason": ""})
        else:
            request = AnyRequest(scope)
            answer = handlers[type(refused)](request, refused)
            await answer.to_asgi_response(None, request)(scope, receive, send)

    return handle


def _encoded(problem: Problem) -> bytes:
    try:
        return msgspec.json.encode(problem)
    except UnicodeEncodeError:
        # Half of a surrogate pair, from the client's own text: JSON can name one, UTF-8 cannot.
        errors = [FieldError(encodable(error.field), encodable(error.message)) for error in problem.errors]
        return msgspec.json.encode(msgspec.structs.replace(problem, detail=encodable(problem.detail), errors=errors))


def _asked(request: AnyRequest) -> str:
    return f"{request.scope['method']} {shortened(request.scope['path'])}"
