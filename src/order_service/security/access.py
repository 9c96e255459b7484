"""Who may use a route: each says by `opt={"scope": ...}` what it needs.

It is Litestar's middleware, not a wrapper around the app, so that the route is known, and refusals become problems like
all others. A route that names no scope is open to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from litestar.enums import ScopeType
from litestar.exceptions import TooManyRequestsException
from litestar.types import ASGIApp, Receive, Scope, Send

from order_service.security.authentication import SUBPROTOCOL, Authentication
from order_service.security.bounds import GOODBYE_S
from order_service.security.errors import NotAuthenticated, NotPermitted
from order_service.security.open_streams import Ended, OpenStreams
from order_service.security.principal import LOCAL, PUBLIC, Principal
from order_service.security.rate_limits import Rate, client_of
from orders.eventstore.port import EventStoreError
from projections.api.own_sockets import cut_peer
from projections.feed_client import FULL, NOT_AUTHENTICATED, NOT_PERMITTED

SCOPE, STREAM, LAST_KNOWN = "scope", "stream", "last_known"
"""What a route says of itself by Litestar's `opt`: the scope that it needs, whether its answer is endless, and whether
a key that this process has known opens it while the database cannot be asked. That is for figures only."""

_GONE = {ScopeType.WEBSOCKET: "websocket.disconnect", ScopeType.HTTP: "http.disconnect"}


class Access:
    """Without `authentication` everybody is LOCAL; `streams` goes with it, and `when_closed` ends what they use."""

    def __init__(
        self,
        authentication: Authentication | None = None,
        streams: OpenStreams | None = None,
        *,
        when_closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._authentication = authentication
        self._streams = streams
        self._when_closed = when_closed

    @property
    def required(self) -> bool:
        """Whether a credential has to be shown."""
        return self._authentication is not None

    def close(self) -> None:
        if self._streams is not None:
            self._streams.close()
        self._when_closed()

    def middleware(self, reads: Rate | None = None) -> Callable[[ASGIApp], ASGIApp]:
        """`reads` counts what the limits behind it do not see: refusals, and sockets that are opened."""

        def guarding(app: ASGIApp) -> ASGIApp:
            async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
                if scope["type"] == ScopeType.WEBSOCKET:
                    await self._socket(app, scope, receive, send, reads)
                    return
                opt = scope["route_handler"].opt
                principal = await self._enter(scope, opt, reads)
                if self._streams is not None and principal is not None and opt.get(STREAM):
                    await self._stream(app, scope, receive, send, principal)
                else:
                    await app(scope, receive, send)

            return guarded

        return guarding

    async def _enter(self, scope: Any, opt: Mapping[str, Any], reads: Rate | None) -> Principal | None:
        """Raises: AccessError, EventStoreError, TooManyRequestsException."""
        needs = opt.get(SCOPE)
        if self._authentication is None:
            principal: Principal | None = LOCAL
        elif needs == PUBLIC:
            principal = None
        else:
            principal = await self._identify(self._authentication, scope, opt, reads)
        scope["user"] = principal
        if needs != PUBLIC and (principal is None or needs not in principal.scopes):
            if reads is not None:
                reads.take(client_of(scope))
            raise NotPermitted(str(needs))
        return principal

    async def _identify(
        self, authentication: Authentication, scope: Any, opt: Mapping[str, Any], reads: Rate | None
    ) -> Principal:
        """An address from which too much was refused is looked at no further: neither keys nor signatures can be tried
        at any speed."""
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        if reads is not None:
            reads.require(client_of(scope))
        try:
            subprotocols = scope.get("subprotocols", ())
            return await authentication.principal(headers, subprotocols, last_known=opt.get(LAST_KNOWN, False))
        except NotAuthenticated:
            if reads is not None:
                reads.charge(client_of(scope), 1)
            raise

    async def _socket(self, app: ASGIApp, scope: Any, receive: Any, send: Any, reads: Rate | None) -> None:
        """Who may not come in hears why by a close code, since browsers show no answer in place of a WebSocket."""
        tell = _choosing_subprotocol(scope, send)
        try:
            principal = await self._enter(scope, scope["route_handler"].opt, reads)
            if reads is not None:
                reads.take(client_of(scope))
        except (NotAuthenticated, NotPermitted) as refused:
            code = NOT_AUTHENTICATED if isinstance(refused, NotAuthenticated) else NOT_PERMITTED
            await _turn_away(receive, tell, code, str(refused))
        except TooManyRequestsException as refused:
            await _turn_away(receive, tell, FULL, refused.detail)
        except EventStoreError:
            await _turn_away(receive, tell, FULL, "the database does not answer; try again")
        else:
            if self._streams is None or principal is None:
                await app(scope, receive, tell)
            else:
                await self._stream(app, scope, receive, tell, principal)

    async def _stream(self, app: ASGIApp, scope: Any, receive: Any, send: Any, principal: Principal) -> None:
        """The app hears that its client is gone when the credential ends; then nobody else sends, and we say why."""
        assert self._streams is not None
        began = False

        async def watched_send(message: Any) -> None:
            nonlocal began
            began = True
            await send(message)

        with self._streams.opened(principal) as ended:
            await app(scope, _until(ended, receive, _GONE[scope["type"]]), watched_send)
            why = ended.result() if ended.done() else None
        if why is not None and began:
            await _send_away(scope, send, why)


def _until(ended: Ended, receive: Any, gone: str) -> Any:
    async def receive_until() -> Any:
        receiving = asyncio.ensure_future(receive())
        try:
            await asyncio.wait((receiving, ended), return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                return receiving.result()
            return {"type": gone, "code": NOT_AUTHENTICATED, "reason": ""}
        finally:
            receiving.cancel()

    return receive_until


def _choosing_subprotocol(scope: Any, send: Any) -> Any:
    """A browser that offers subprotocols stays only where one of them is chosen."""
    if SUBPROTOCOL not in scope.get("subprotocols", ()):
        return send

    async def choosing(message: Any) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message = {**message, "subprotocol": SUBPROTOCOL}
        await send(message)

    return choosing


async def _turn_away(receive: Any, send: Any, code: int, reason: str) -> None:
    await receive()
    with suppress(RuntimeError, OSError, TimeoutError):
        async with asyncio.timeout(GOODBYE_S):
            await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
            await send({"type": "websocket.close", "code": code, "reason": reason})


async def _send_away(scope: Any, send: Any, why: str) -> None:
    if scope["type"] == ScopeType.WEBSOCKET:
        message = {"type": "websocket.close", "code": NOT_AUTHENTICATED, "reason": why}
    else:
        message = {"type": "http.response.body", "body": b"", "more_body": False}
    with suppress(RuntimeError, OSError):
        try:
            async with asyncio.timeout(GOODBYE_S):
                await send(message)
        except TimeoutError:
            cut_peer(scope["client"])
