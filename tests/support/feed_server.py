"""The read side behind a real server: granian on this loop, on a Unix socket."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar
from websockets.asyncio.client import ClientConnection, connect, unix_connect

from tests.support.waiting import wait_until_async


@asynccontextmanager
async def served(app: Litestar) -> AsyncIterator[Path]:
    """The path of the socket on which the app is served; its folder is short, since such paths are limited."""
    with tempfile.TemporaryDirectory(prefix="feed-") as folder:
        path = Path(folder) / "s"
        server = Server(app, uds=path, interface=Interfaces.ASGI, websockets=True)
        running = asyncio.create_task(server.serve())
        try:
            await wait_until_async(lambda: _accepts(path), what="the server")
            yield path
        finally:
            server.stop()  # type: ignore[no-untyped-call]
            await running


async def _accepts(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(os.fspath(path))
    except OSError:
        return False
    writer.close()
    return True


def feed(path: Path, **params: Any) -> connect:
    """A client of /ws; `async with` it. What it does not read stays at the server, but for some messages."""
    query = "&".join(f"{name}={value}" for name, value in params.items())
    uri = f"ws://localhost/ws?{query}" if query else "ws://localhost/ws"
    return unix_connect(os.fspath(path), uri, max_queue=4, ping_interval=None, close_timeout=2, compression=None)


__all__ = ["ClientConnection", "feed", "served"]
