"""What the feed is measured against: a bare Litestar WebSocket that sends what it is told to every client, one by one.

A client that says "N TEXT" makes it send TEXT N times to all others. Each client hears "ready" when it is among them.
"""

from __future__ import annotations

from typing import Any

from litestar import Litestar, WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect


def create() -> Litestar:
    clients: set[WebSocket[Any, Any, Any]] = set()

    @websocket("/ws")
    async def broadcast(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await socket.send_text("ready")
        clients.add(socket)
        try:
            while True:
                times, _, text = (await socket.receive_text()).partition(" ")
                clients.discard(socket)
                for _ in range(int(times)):
                    for client in tuple(clients):
                        await client.send_text(text)
        except WebSocketDisconnect:
            clients.discard(socket)

    return Litestar([broadcast], openapi_config=None, logging_config=None, debug=False)
