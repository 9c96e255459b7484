"""What granian's worker process serves."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from litestar import Litestar

from order_service.api.last_connections import take_last_connections
from order_service.bootstrap import Drain, build_api
from order_service.bounds import UNREAD_TIMEOUT_MS
from order_service.child_processes import die_with_parent
from order_service.configuration.settings import load_settings
from order_service.logs.log_lines import configure_logs
from order_service.logs.log_secrets import secrets_of
from order_service.tracing.telemetry import spans_of
from projections.api.own_sockets import bound_sending
from projections.bounds import SEND_BUFFER_BYTES


def create() -> Litestar:
    """The app, in a process that ends with the server that started it.

    In a process group of its own, so that Ctrl-C on a terminal reaches the server alone, which then stops this process
    by SIGTERM.
    """
    die_with_parent(signal.SIGTERM, parent_pid=os.getppid())
    os.setpgid(0, 0)
    settings = load_settings()
    configure_logs(settings.production, settings.log_level, secrets_of(settings))
    return build_api(settings, started=_started, spans=spans_of("api"))


def _started(drain: Drain) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, _drain_first(loop, drain))
    _bound_sending(loop)


def _bound_sending(loop: asyncio.AbstractEventLoop) -> None:
    """In the loop's first turn in which granian listens, soon after the app has started: before it answers anybody."""
    if not bound_sending(SEND_BUFFER_BYTES, UNREAD_TIMEOUT_MS):
        loop.call_soon(_bound_sending, loop)


def _drain_first(loop: asyncio.AbstractEventLoop, drain: Drain) -> Callable[[], None]:
    """Granian ends its connections as soon as it hears SIGTERM, before anybody could say goodbye to a WebSocket, and
    resets those that it has not accepted yet. So that signal is ours; when all is said and all are accepted, SIGINT,
    which granian takes alike, stops the server, and that answers the requests in flight first."""
    stopping: list[asyncio.Task[None]] = []

    async def stop() -> None:
        try:
            await drain()
            await take_last_connections()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    def once() -> None:
        if not stopping:
            stopping.append(loop.create_task(stop()))

    return once
