"""One life of the exchange: from reading its journal until it is stopped, or crashes because somebody wants it to."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from simulated_exchange.bounds import STOP_WAIT_S
from simulated_exchange.config import ExchangeConfig, TcpAddress, UnixAddress
from simulated_exchange.connection import Connection
from simulated_exchange.controls import Controls
from simulated_exchange.engine import Engine
from simulated_exchange.exchange import Exchange
from simulated_exchange.group_commit import GroupCommit
from simulated_exchange.journal import FILE_NAME, Journal, JournalReader, open_journal, prepare_journal
from simulated_exchange.listener import address_of, forget, inode_of, listen
from simulated_exchange.report_log import ReportLog
from simulated_exchange.state import ExchangeState

logger = logging.getLogger("simulated_exchange")


async def live(
    config: ExchangeConfig,
    address: UnixAddress | TcpAddress,
    controls: Controls,
    ends: Ends,
    up: Callable[[UnixAddress | TcpAddress], None],
) -> None:
    """Returns when it was stopped, or crashed by the controls; `up` gets the address once clients can connect.

    Raises ExchangeError where it cannot start or go on.
    """
    if controls.starts == 0:
        state, journal, reports = replay(config)  # nobody is to be answered yet, and Ctrl-C ends it
    else:
        state, journal, reports = await asyncio.to_thread(replay, config)
    try:
        listening = listen(address)
        address = address_of(listening, address)
        inode = inode_of(address)
        exchange = Exchange(Engine(state, controls.house), GroupCommit(journal, reports), reports, controls.faults)
        try:
            controls.started(exchange)
            await _serve(exchange, listening, ends, controls.crash, lambda: up(address))
        finally:
            controls.ended()
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


class Ends:
    """What ends the process: somebody's wish, or a defect."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_defect(self, context: dict[str, Any]) -> None:
        """What is in memory can no longer be trusted, so the process ends and replays its journal.

        Not so where the system cannot give a new connection its socket: it is tried again.
        """
        error = context.get("exception")
        if isinstance(error, OSError):
            logger.warning("%s: %s", context["message"], error)
        elif not self.failed.done():
            self.failed.set_exception(error if isinstance(error, BaseException) else RuntimeError(context["message"]))


async def _serve(
    exchange: Exchange, listening: socket.socket, ends: Ends, crash: asyncio.Event, ready: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    commit = exchange.commit
    committing = loop.create_task(commit.run())
    waiting = [loop.create_task(event.wait()) for event in (ends.stop, crash)]
    exchange.start()
    server = await loop.create_server(lambda: Connection(exchange), sock=listening)
    try:
        ready()
        awaited: list[asyncio.Future[Any]] = [committing, ends.failed, *waiting]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.close()
        for task in waiting:
            task.cancel()
        exchange.stop()
        commit.stop()
    if ends.failed.done():
        committing.cancel()
        ends.failed.result()
    if crash.is_set() and not ends.stop.is_set() and not committing.done():
        await _die(exchange, committing)
        return
    await committing
    await _hang_up(exchange)


async def _die(exchange: Exchange, committing: asyncio.Task[None]) -> None:
    """As by kill -9: what is not on disk is lost, and nobody is told."""
    committing.cancel()
    with suppress(asyncio.CancelledError):
        await committing
    exchange.cut_all()
    while exchange.connections:
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # the streams' tasks end, which read the journal


async def _hang_up(exchange: Exchange) -> None:
    """Lets last answers leave, within a bound."""
    for connection in list(exchange.connections):
        connection.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_WAIT_S):
            while exchange.connections:
                await asyncio.sleep(0.005)
    exchange.cut_all()
    await asyncio.sleep(0)
