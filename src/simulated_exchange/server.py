"""The process: takes the folder, replays the journal, listens, and stops when it is told to."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from simulated_exchange.bounds import STOP_WAIT_S
from simulated_exchange.config import ExchangeConfig
from simulated_exchange.connection import Connection
from simulated_exchange.engine import Engine
from simulated_exchange.exchange import Exchange
from simulated_exchange.faults import Faults
from simulated_exchange.folder import locked_folder
from simulated_exchange.group_commit import GroupCommit
from simulated_exchange.journal import FILE_NAME, Journal, JournalReader, open_journal, prepare_journal
from simulated_exchange.listener import address_of, forget, inode_of, listen
from simulated_exchange.report_log import ReportLog
from simulated_exchange.state import ExchangeState

logger = logging.getLogger("simulated_exchange")

Ready = Callable[[str], None]


def run(config: ExchangeConfig, ready: Ready | None = None) -> None:
    """Serves until SIGTERM or SIGINT; `ready` gets the address once clients can connect. Raises ExchangeError."""

    async def until_signaled() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_ready(address: str) -> None:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop.set)
            if ready is not None:
                ready(address)

        await serve(config, on_ready, stop)

    asyncio.run(until_signaled())


async def serve(config: ExchangeConfig, ready: Ready, stop: asyncio.Event) -> None:
    """Serves until `stop` is set. Raises ExchangeError where it cannot start or go on."""
    with locked_folder(config.data_dir):
        state, journal, reports = replay(config)
        try:
            listening = listen(config.address)
            address = address_of(listening, config.address)
            inode = inode_of(address)
            try:
                await _serve(config, state, journal, reports, listening, stop, lambda: ready(str(address)))
            finally:
                listening.close()
                forget(inode, address)
        finally:
            journal.close()


def replay(config: ExchangeConfig) -> tuple[ExchangeState, Journal, ReportLog]:
    """The state as the journal has it. Takes some 20 s for a million entries; a start is bounded by that alone."""
    path = config.data_dir / FILE_NAME
    state = ExchangeState(prepare_journal(path, str(uuid.uuid4())).journal)
    reports = ReportLog()

    reader = JournalReader(path)
    for offset, entry in reader:
        state.apply(entry)
        reports.replayed(offset, len(entry.reports))
    if reader.torn_bytes:
        logger.warning("the journal's end was cut off: %d bytes dropped, never answered", reader.torn_bytes)
    journal = open_journal(path, reader.size)
    reports.opened(journal.fileno, journal.size)
    gc.freeze()  # what was replayed stays: the collector need not walk over it again
    return state, journal, reports


async def _serve(
    config: ExchangeConfig,
    state: ExchangeState,
    journal: Journal,
    reports: ReportLog,
    listening: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    loop = asyncio.get_running_loop()
    commit = GroupCommit(journal, reports)
    engine = Engine(state, config.seed, config.fill_delay_us)
    exchange = Exchange(engine, commit, reports, Faults(config.faults, config.seed))
    failed: asyncio.Future[None] = loop.create_future()
    loop.set_exception_handler(lambda _, context: _fail(failed, context))
    committing = loop.create_task(commit.run())
    stopping = loop.create_task(stop.wait())
    exchange.start()
    server = await loop.create_server(lambda: Connection(exchange), sock=listening)
    try:
        ready()
        ends: list[asyncio.Future[Any]] = [committing, stopping, failed]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.close()
        stopping.cancel()
        exchange.stop()
        commit.stop()
    if failed.done():
        committing.cancel()
        failed.result()
    await committing
    await _hang_up(exchange)


def _fail(failed: asyncio.Future[None], context: dict[str, object]) -> None:
    """A defect: what is in memory can no longer be trusted, so the process ends and replays its journal.

    Not so where the system cannot give a new connection its socket: it is tried again.
    """
    error = context.get("exception")
    if isinstance(error, OSError):
        logger.warning("%s: %s", context["message"], error)
    elif not failed.done():
        failed.set_exception(error if isinstance(error, BaseException) else RuntimeError(str(context["message"])))


async def _hang_up(exchange: Exchange) -> None:
    """Lets last answers leave, within a bound."""
    for connection in list(exchange.connections):
        connection.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_WAIT_S):
            while exchange.connections:
                await asyncio.sleep(0.005)
    for connection in list(exchange.connections):
        connection.cut()
    await asyncio.sleep(0)
