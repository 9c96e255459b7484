"""One client's connection: lines in, answers and reports out, neither ever buffered without a bound."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import msgspec

from simulated_exchange.bounds import HEARTBEAT_S, MAX_FRAME_BYTES, MAX_IN_FLIGHT, WRITE_BUFFER_BYTES
from simulated_exchange.faults import Disorder, Faults
from simulated_exchange.group_commit import GroupCommit
from simulated_exchange.protocol import AnyAnswer, Heartbeat, Refused, encode_answer
from simulated_exchange.report_log import ReportReader

_encoder = msgspec.json.Encoder()
Key = int | str | None


class Desk(Protocol):
    """What serves a connection's frames."""

    commit: GroupCommit
    faults: Faults

    def connected(self, connection: Connection) -> None: ...

    def disconnected(self, connection: Connection) -> None: ...

    def take(self, connection: Connection, frame: bytes) -> None: ...

    def now(self) -> int: ...


class Connection(asyncio.Protocol):
    """Every frame handed to the desk counts as in flight until `answer`; a hung one for ever."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._in_flight = 0
        self._reading = True
        self._out: list[bytes] = []
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._stream: asyncio.Task[None] | None = None

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._desk.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._received.clear()
        if self._stream is not None:
            self._stream.cancel()
        self._desk.disconnected(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._work()

    def pause_writing(self) -> None:
        self._can_write.clear()
        self._adjust_reading()

    def resume_writing(self) -> None:
        self._can_write.set()
        self._work()

    # Requests

    def _may_work(self) -> bool:
        return self._in_flight < MAX_IN_FLIGHT and self._can_write.is_set() and self._transport is not None

    def _work(self) -> None:
        start = 0
        while self._may_work():
            end = self._received.find(b"\n", start)
            if end < 0 or end - start >= MAX_FRAME_BYTES:
                break
            frame = bytes(self._received[start:end])
            start = end + 1
            self._in_flight += 1
            self._desk.take(self, frame)
        del self._received[:start]
        if self._may_work() and len(self._received) >= MAX_FRAME_BYTES:
            self._refuse_oversized()
        self._adjust_reading()

    def _refuse_oversized(self) -> None:
        self._received.clear()
        self._in_flight += 1
        self.answer(None, Refused("too_large", f"a request is at most {MAX_FRAME_BYTES} bytes"))
        self.close()

    def _adjust_reading(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        wanted = self._may_work()
        if wanted and not self._reading:
            self._transport.resume_reading()
        elif self._reading and not wanted:
            self._transport.pause_reading()
        self._reading = wanted

    # Answers

    def answer(self, key: Key, answer: AnyAnswer) -> None:
        """Answers one frame; what is answered in one turn of the event loop leaves in one write."""
        self.answer_line(encode_answer(key, answer))

    def answer_line(self, line: bytes) -> None:
        was_full = self._in_flight >= MAX_IN_FLIGHT
        self._in_flight -= 1
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(line)
        if was_full:
            asyncio.get_running_loop().call_soon(self._work)

    def _flush(self) -> None:
        lines, self._out = self._out, []
        if self._transport is not None and lines:
            self._transport.write(b"".join(lines))

    def close(self) -> None:
        """After what was answered has gone out."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """At once."""
        if self._transport is not None:
            self._transport.abort()

    # Reports

    @property
    def streaming(self) -> bool:
        return self._stream is not None

    def stream(self, key: Key, first: AnyAnswer, reader: ReportReader) -> None:
        """Answers, then sends reports until the connection ends."""
        self.answer(key, first)
        self._flush()
        self._stream = asyncio.get_running_loop().create_task(self._send_reports(reader))
        self._stream.add_done_callback(raise_defect)

    async def _send_reports(self, reader: ReportReader) -> None:
        disorder = Disorder(self._desk.faults)
        while True:
            await self._can_write.wait()
            new_reports = self._desk.commit.new_reports  # taken before the read, so that none is missed
            lines = reader.read() or await self._idle(new_reports, reader)
            if self._transport is None:
                return
            lines = disorder.of(lines)
            if self._desk.faults.cuts_write():
                self._transport.write(lines[: len(lines) // 2])
                self.cut()
                return
            self._transport.write(lines)
            await asyncio.sleep(0)  # others' turn: writing to a fast reader never waits

    async def _idle(self, new_reports: asyncio.Event, reader: ReportReader) -> bytes:
        """A heartbeat where nothing new comes for its time; empty where something does."""
        try:
            await asyncio.wait_for(new_reports.wait(), HEARTBEAT_S)
        except TimeoutError:
            return _encoder.encode(Heartbeat(seq=reader.after, at=self._desk.now())) + b"\n"
        return b""


def raise_defect(task: asyncio.Task[None]) -> None:
    """Hands what ended a task to the loop's exception handler, at once and not when the task is collected."""
    if not task.cancelled():
        task.result()
