"""GET /events: the feed as server-sent events (WHATWG HTML 9.2), for those who cannot open a WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import Receive, Scope, Send

from orders.domain.errors import FieldError
from orders.domain.instruments import Catalogue
from orders.http import HEAD_ONLY, POSITION_HEADER, local_account
from orders.request_errors import InvalidParameters
from projections.api.documentation import operation
from projections.api.feed_documentation import FEED
from projections.api.feed_parameters import LAST_EVENT_ID_HEADER, subscription_of
from projections.api.own_sockets import cut_peer, make_room
from projections.bounds import EVENTS_FRAME_BYTES, EVENTS_RETRY_MS
from projections.errors import FeedUnavailable
from projections.feed import Subscription, Telling
from projections.feed_hub import FeedHub
from projections.feed_log import LogReader
from projections.feed_messages import Closed, text_of
from projections.feed_session import SocketGone, beyond_the_log, serve

AnyRequest = Request[Any, Any, Any]

_MEDIA_TYPE = "text/event-stream"


def events_router(
    hub: FeedHub,
    reader: LogReader,
    catalogue: Catalogue,
    *,
    problem: type[msgspec.Struct] | None = None,
    account_of: Callable[[AnyRequest], str] = local_account,
) -> Router:
    """`problem` describes a problem's body in the OpenAPI document. Raises what `problems.py` lists, and
    EventStoreError, before the stream begins."""

    @get(
        "/events",
        summary="The feed as server-sent events: what /ws sends, with the position to resume from as `id`",
        media_type=_MEDIA_TYPE,
        responses=_responses(problem),
        operation_class=operation(*FEED),
    )
    async def events(request: AnyRequest) -> Response[str]:
        given = request.query_params.multi_items()
        last = request.headers.get(LAST_EVENT_ID_HEADER)
        wanted = subscription_of(given, account_of(request), catalogue, last_event_id=last)
        if (refusal := hub.refusal(wanted.account)) is not None:
            raise FeedUnavailable(refusal[1])
        if (wrong := await beyond_the_log(wanted.after, hub, reader)) is not None:
            raise InvalidParameters([FieldError("after", f"Parameter `after`: {wrong}")])
        return _EventStream(msgspec.structs.replace(wanted, batch=True), hub, reader)

    return Router(path="/", route_handlers=[events], opt={"scope": "read", "stream": True})


def _responses(problem: type[msgspec.Struct] | None) -> dict[int, ResponseSpec]:
    if problem is None:
        return {}
    texts = {422: "Wrong parameters", 503: "Not now: see Retry-After"}
    return {
        status: ResponseSpec(problem, description=text, media_type="application/problem+json", generate_examples=False)
        for status, text in texts.items()
    }


class _EventStream(Response[str]):
    """An answer that goes on until one side ends it."""

    def __init__(self, wanted: Subscription, hub: FeedHub, reader: LogReader) -> None:
        super().__init__("", media_type=_MEDIA_TYPE)
        self._wanted = wanted
        self._hub = hub
        self._reader = reader

    def to_asgi_response(self, app: Litestar | None, request: Any, **options: Any) -> Any:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            stream = EventStream(scope, receive, send)
            if HEAD_ONLY in scope:
                position = self._hub.position if self._wanted.after is None else self._wanted.after
                with suppress(SocketGone):
                    await stream.end_at_once(position)
                return
            await serve(stream, self._wanted, self._hub, self._reader)

        return answer


class EventStream:
    """`projections.feed_session.FeedSocket` over an HTTP answer."""

    frame_bytes = EVENTS_FRAME_BYTES

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._peer = scope["client"]
        self._receive = receive
        self._send = send

    async def begin(self, position: int) -> None:
        """A client that is cut before its first message comes back after `position`."""
        await self._headers(position)
        await self._write(f"retry: {EVENTS_RETRY_MS}\nid: {position}\n\n")

    async def end_at_once(self, position: int) -> None:
        """The headers alone."""
        await self._headers(position)
        await self._tell({"type": "http.response.body", "body": b"", "more_body": False})

    async def send(self, tellings: Sequence[Telling]) -> None:
        await self._write("".join(map(_framed, tellings)))

    async def keep_alive(self, position: int) -> None:
        await self._write(f": nothing new\nid: {position}\n\n")

    async def receive(self) -> int:
        """An HTTP client says nothing more but that it goes."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise SocketGone

    async def close(self, code: int, reason: str, position: int) -> None:
        last = text_of(Closed(code=code, reason=reason, position=position))
        await self._write(f"event: closed\nid: {position}\ndata: {last}\n\n", more=False)

    def make_room(self) -> None:
        make_room(self._peer)

    def cut(self) -> None:
        cut_peer(self._peer)

    async def _headers(self, position: int) -> None:
        headers = [
            (b"content-type", _MEDIA_TYPE.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            (POSITION_HEADER.lower().encode(), str(position).encode()),
        ]
        await self._tell({"type": "http.response.start", "status": 200, "headers": headers})

    async def _write(self, text: str, *, more: bool = True) -> None:
        await self._tell({"type": "http.response.body", "body": text.encode(), "more_body": more})

    async def _tell(self, message: Any) -> None:
        try:
            await self._send(message)
        except (RuntimeError, OSError) as error:
            raise SocketGone from error


def _framed(told: Telling) -> str:
    """An id stands with the last message of a position only: after the others a client must not resume."""
    *before, last = told.texts
    return "".join(f"data: {text}\n\n" for text in before) + f"id: {told.position}\ndata: {last}\n\n"
