"""What granian's worker process serves."""

from __future__ import annotations

import asyncio
import os
import signal

from litestar import Litestar

from order_service.bootstrap import Drain, build_api
from order_service.child_processes import die_with_parent
from order_service.logs import configure_logs
from order_service.settings import load_settings


def create() -> Litestar:
    """The app, in a process that ends with the server that started it.

    In a process group of its own, so that Ctrl-C on a terminal reaches the server alone, which then stops this process
    by SIGTERM.
    """
    die_with_parent(signal.SIGTERM, parent_pid=os.getppid())
    os.setpgid(0, 0)
    settings = load_settings()
    configure_logs(settings.production)
    return build_api(settings, stopping=_drain_on_sigterm)


def _drain_on_sigterm(drain: Drain) -> None:
    """Granian ends its connections as soon as it hears SIGTERM, before anybody could say goodbye to a WebSocket. So
    that signal is ours; when all is said, SIGINT, which granian takes alike, stops the server."""
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Task[None]] = []

    async def stop() -> None:
        try:
            await drain()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    def once() -> None:
        if not stopping:
            stopping.append(loop.create_task(stop()))

    loop.add_signal_handler(signal.SIGTERM, once)
