"""The WebSocket /ws: Litestar's socket as the feed wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from litestar import Router, WebSocket, get, websocket
from litestar.exceptions import HTTPException, WebSocketException

from orders.domain.instruments import Catalogue
from orders.http import local_account
from orders.request_errors import InvalidParameters
from projections.api.feed_parameters import subscription_of
from projections.api.own_sockets import cut_peer, make_room
from projections.api.socket_input import WatchedInput
from projections.bounds import CLIENT_INPUT_LOOK_S, MAX_FRAME_BYTES
from projections.feed import Telling
from projections.feed_client import WRONG_PARAMETER
from projections.feed_hub import FeedHub
from projections.feed_log import LogReader
from projections.feed_session import SocketGone, close, serve

AnySocket = WebSocket[Any, Any, Any]


def feed_router(
    hub: FeedHub, reader: LogReader, catalogue: Catalogue, *, account_of: Callable[[AnySocket], str] = local_account
) -> Router:
    inputs = WatchedInput(CLIENT_INPUT_LOOK_S)

    @websocket("/ws")
    async def feed(socket: AnySocket) -> None:
        async with inputs.of(socket.scope["client"]):
            await told(socket)

    async def told(socket: AnySocket) -> None:
        await socket.accept()
        try:
            subscription = subscription_of(socket.query_params.multi_items(), account_of(socket), catalogue)
        except InvalidParameters as wrong:
            reasons = "; ".join(f"{error.field}: {error.message}" for error in wrong.errors)
            await close(AcceptedSocket(socket), WRONG_PARAMETER, reasons)
            return
        await serve(AcceptedSocket(socket, batch=subscription.batch), subscription, hub, reader)

    return Router(path="/", route_handlers=[feed, without_upgrade], opt={"scope": "read"})


@get("/ws", include_in_schema=False)
async def without_upgrade() -> None:
    """RFC 9110, 15.5.22 and 7.8."""
    headers = {"Upgrade": "websocket", "Connection": "upgrade"}
    detail = "/ws is a WebSocket: ask for it with `Upgrade: websocket`, or take /events"
    raise HTTPException(detail, status_code=HTTPStatus.UPGRADE_REQUIRED, headers=headers)


class AcceptedSocket:
    """`projections.feed_session.FeedSocket` over Litestar's. Its methods are called by one task each. With `batch`, a
    frame with more than one message is a JSON array of them."""

    frame_bytes = MAX_FRAME_BYTES

    def __init__(self, socket: AnySocket, *, batch: bool = False) -> None:
        self._socket = socket
        self._batch = batch

    async def begin(self, position: int) -> None:
        """Nothing: the first frame is the first message."""

    async def send(self, tellings: Sequence[Telling]) -> None:
        texts = [text for told in tellings for text in told.texts]
        for frame in (f"[{','.join(texts)}]",) if self._batch and len(texts) > 1 else texts:
            await self._tell({"type": "websocket.send", "bytes": None, "text": frame})

    async def keep_alive(self, position: int) -> None:
        """Nothing: this client was promised messages of the orders only."""

    async def receive(self) -> int:
        try:
            message: Any = await self._socket.receive()
        except (WebSocketException, RuntimeError) as error:
            raise SocketGone from error
        if message["type"] != "websocket.receive":
            raise SocketGone
        return len(message.get("text") or message.get("bytes") or "")

    async def close(self, code: int, reason: str, position: int) -> None:
        await self._tell({"type": "websocket.close", "code": code, "reason": reason})

    def make_room(self) -> None:
        make_room(self._socket.scope["client"])

    def cut(self) -> None:
        cut_peer(self._socket.scope["client"])

    async def _tell(self, message: Any) -> None:
        # The server raises RuntimeError for a connection that ended on the network.
        try:
            await self._socket.send(message)
        except (WebSocketException, RuntimeError, OSError) as error:
            raise SocketGone from error
