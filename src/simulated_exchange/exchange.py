"""Serves requests: between the wire, the engine, the journal and the timers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import msgspec

from simulated_exchange.amendments import amended
from simulated_exchange.bounds import MAX_CONNECTIONS, MAX_DELAYED, MAX_LATENCY_S
from simulated_exchange.clock import Clock
from simulated_exchange.connection import Connection
from simulated_exchange.control_words import BustExecution, CorrectExecution
from simulated_exchange.engine import Engine
from simulated_exchange.faults import Faults
from simulated_exchange.frames import UNREADABLE, unreadable
from simulated_exchange.group_commit import GroupCommit
from simulated_exchange.protocol import (
    OPERATIONS,
    AnyAnswer,
    AnyRequest,
    Cancel,
    Health,
    Healthy,
    Ping,
    Pong,
    Query,
    ReadReports,
    Refused,
    Replace,
    Streaming,
    Submit,
    encode_answer,
)
from simulated_exchange.query import found
from simulated_exchange.report_log import ReportLog, ReportReader
from simulated_exchange.turnstile import Turnstile

_decoder = msgspec.json.Decoder(AnyRequest)
STOPPING = Refused("unavailable", "the exchange is stopping")
INJECTED = Refused("unavailable", "an error was injected")
BUSY = Refused("unavailable", f"its turn did not come within {MAX_LATENCY_S:g} s")
TOO_MANY = Refused("unavailable", f"{MAX_DELAYED} requests wait already")
CROWDED = Refused("unavailable", f"there are {MAX_CONNECTIONS} connections already")


class Exchange:
    """The desk that connections bring their frames to. Runs in one event loop; nothing here blocks."""

    def __init__(self, engine: Engine, commit: GroupCommit, reports: ReportLog, faults: Faults) -> None:
        self.commit = commit
        self.faults = faults
        self.connections: set[Connection] = set()
        self._engine = engine
        self._state = engine.state
        self._reports = reports
        self._clock = Clock(engine.state.now)
        self._started = time.monotonic()
        self._delayed = 0
        self._turnstile = Turnstile(faults)
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: int | None = None

    def now(self) -> int:
        return self._clock.now()

    def start(self) -> None:
        """What fell due while no exchange ran happens now."""
        self._tick()

    def stop(self) -> None:
        """Requests are refused from here on; what was carried out is still answered."""
        self._stopping = True
        self._turnstile.stop()
        if self._timer is not None:
            self._timer.cancel()

    def cut_all(self) -> None:
        """Every connection at once, as when a switch fails."""
        for connection in list(self.connections):
            connection.cut()

    def connected(self, connection: Connection) -> None:
        self.connections.add(connection)
        if self._stopping:
            connection.cut()
        elif len(self.connections) > MAX_CONNECTIONS:
            connection.answer(None, CROWDED)
            connection.close()

    def disconnected(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def take(self, connection: Connection, frame: bytes) -> None:
        """One line of a client."""
        try:
            request = _decoder.decode(frame)
        except UNREADABLE as error:
            connection.answer(*unreadable(frame, str(error), OPERATIONS))
            return
        match request:
            case Submit() | Cancel() | Replace():
                self._take_order(connection, request)
            case Query():
                answer = found(self._state, request)
                self.commit.when_durable(partial(connection.answer, request.id, answer))
            case ReadReports():
                self._stream(connection, request)
            case Ping():
                connection.answer(request.id, Pong(self.now()))
            case Health():
                connection.answer(request.id, self._health())

    # Orders

    def _take_order(self, connection: Connection, request: Submit | Cancel | Replace) -> None:
        mishap = self.faults.mishap()
        if mishap == "error" or self._delayed + len(self._turnstile) >= MAX_DELAYED:
            connection.answer(request.id, INJECTED if mishap == "error" else TOO_MANY)
            return
        if mishap == "hang":
            return
        if mishap == "disconnect":
            connection.cut()
            return
        loop = asyncio.get_running_loop()
        queue = partial(
            self._turnstile.enter,
            loop.time(),
            partial(self._carry_out, connection, request, mishap == "drop"),
            partial(connection.answer, request.id, BUSY),
        )
        latency_s = self.faults.latency_s()
        if latency_s == 0:
            queue()
            return
        self._delayed += 1
        loop.call_later(latency_s, self._queue_late, queue)

    def _queue_late(self, queue: Callable[[], None]) -> None:
        self._delayed -= 1
        queue()

    def _carry_out(self, connection: Connection, request: Submit | Cancel | Replace, drop: bool) -> None:
        if self._stopping:
            connection.answer(request.id, STOPPING)
            return
        now = self.now()
        for entry in self._engine.advance(now):
            self.commit.add(entry)
        decision = self._engine.handle(request, now)
        if decision.entry is not None:
            self.commit.add(decision.entry)
        line = encode_answer(request.id, decision.answer)
        self.commit.when_durable(connection.cut if drop else partial(connection.answer_line, line))
        self._set_timer(now)

    def amend(self, request: BustExecution | CorrectExecution, then: Callable[[AnyAnswer], None]) -> None:
        """A bust or correction by a person; `then` gets the answer when it is on disk."""
        now = self.now()
        for entry in self._engine.advance(now):
            self.commit.add(entry)
        decision = amended(self._engine, request, now)
        if decision.entry is not None:
            self.commit.add(decision.entry)
        self.commit.when_durable(partial(then, decision.answer))
        self._set_timer(now)

    # Timers

    def _tick(self) -> None:
        self._timer_due = None
        now = self.now()
        for entry in self._engine.advance(now):
            self.commit.add(entry)
        self._set_timer(now)

    def _set_timer(self, now: int) -> None:
        due = self._engine.next_due()
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_due = due
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0, due - now) / 1_000_000, self._tick)

    # Reads

    def _stream(self, connection: Connection, request: ReadReports) -> None:
        last_seq = self._reports.last_seq
        if connection.streaming:
            connection.answer(request.id, Refused("already_streaming", "this connection streams reports"))
        elif request.journal not in (None, self._state.journal):
            connection.answer(request.id, Refused("other_journal", f"this exchange's journal is {self._state.journal}"))
        elif request.after > last_seq:
            message = f"the last report is {last_seq}"
            connection.answer(request.id, Refused("after_beyond_end", message, last_seq=last_seq))
        else:
            first = Streaming(self._state.journal, request.after, last_seq)
            connection.stream(request.id, first, ReportReader(self._reports, request.after))

    def _health(self) -> Healthy:
        return Healthy(
            journal=self._state.journal,
            last_seq=self._reports.last_seq,
            entries=self._state.entries,
            orders=len(self._state.orders),
            open_orders=self._state.working,
            awaiting_house=self._state.awaiting_house,
            connections=len(self.connections),
            uptime_s=round(time.monotonic() - self._started, 3),
            faults=self.faults.plan.as_dict(),
        )
