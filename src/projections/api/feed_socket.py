"""The WebSocket /ws: its parameters, and Litestar's socket as the feed wants it."""

from __future__ import annotations

from typing import Any

from litestar import Router, WebSocket, websocket
from litestar.exceptions import WebSocketException

from orders.domain.instruments import Catalogue
from orders.parameters import Parameters
from orders.request_errors import InvalidParameters
from projections.feed import CHANNELS, Subscription
from projections.feed_client import WRONG_PARAMETER
from projections.feed_hub import FeedHub
from projections.feed_session import LogReader, SocketGone, close, serve

AnySocket = WebSocket[Any, Any, Any]


def feed_router(hub: FeedHub, reader: LogReader, catalogue: Catalogue) -> Router:
    @websocket("/ws")
    async def feed(socket: AnySocket) -> None:
        await socket.accept()
        accepted = AcceptedSocket(socket)
        try:
            subscription = subscription_of(socket, catalogue)
        except InvalidParameters as wrong:
            reasons = "; ".join(f"{error.field}: {error.message}" for error in wrong.errors)
            await close(accepted, WRONG_PARAMETER, reasons)
            return
        await serve(accepted, subscription, hub, reader)

    return Router(path="/", route_handlers=[feed])


def subscription_of(socket: AnySocket, catalogue: Catalogue) -> Subscription:
    """Raises InvalidParameters."""
    given = Parameters(socket.query_params.multi_items())
    channels = given.take("channels", _channels, f"a list of {', '.join(CHANNELS)}")
    subscription = Subscription(
        channels=channels or Subscription().channels,
        symbol=given.take("symbol", lambda symbol: _traded(symbol, catalogue), "a symbol or code that is supported"),
        order_id=given.order_id("order_id"),
        detail=given.flag("detail"),
        after=given.position("after"),
    )
    given.check()
    return subscription


def _channels(text: str) -> frozenset[str]:
    named = frozenset(text.split(","))
    if not named <= set(CHANNELS):
        raise ValueError(text)
    return named


def _traded(symbol: str, catalogue: Catalogue) -> str:
    # A filter that can never match would be silent for ever.
    if catalogue.find(symbol) is None:
        raise ValueError(symbol)
    return symbol


class AcceptedSocket:
    """`projections.feed_session.FeedSocket` over Litestar's. Its methods are called by one task each."""

    def __init__(self, socket: AnySocket) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        await self._tell({"type": "websocket.send", "bytes": None, "text": text})

    async def receive(self) -> int:
        try:
            message: Any = await self._socket.receive()
        except (WebSocketException, RuntimeError) as error:
            raise SocketGone from error
        if message["type"] != "websocket.receive":
            raise SocketGone
        return len(message.get("text") or message.get("bytes") or "")

    async def close(self, code: int, reason: str) -> None:
        await self._tell({"type": "websocket.close", "code": code, "reason": reason})

    async def _tell(self, message: Any) -> None:
        # The server raises RuntimeError for a connection that ended on the network.
        try:
            await self._socket.send(message)
        except (WebSocketException, RuntimeError, OSError) as error:
            raise SocketGone from error
