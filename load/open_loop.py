"""A steady load: requests leave at a fixed rate, whether or not earlier ones were answered.

Latency counts from the time that a request was meant to leave, so that a server which stalls is charged for all that
waited meanwhile, and not only for what was under way (coordinated omission).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from load.http_client import ANSWER_TIMEOUT_S, Answer, BrokenAnswer, Connection

LOWEST_US, HIGHEST_US, DIGITS = 1, 60_000_000, 3  # of the histograms: a microsecond to a minute, to one in a thousand
MAX_WAITING = 10_000  # requests whose time has come while every connection is busy; past it they are counted as lost
RECONNECT_S = 0.1

GIVE_UP_S = 60.0  # without a connection: the server will not come back


class ServerGone(Exception):
    """It takes no connections any more."""


async def connected(host: str, port: int, tls: ssl.SSLContext | None = None) -> Connection:
    """A connection, as soon as there is one. Raises ServerGone."""
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + GIVE_UP_S
    while True:
        try:
            return await Connection.open(host, port, tls)
        except OSError as error:
            if clock() > give_up_at:
                raise ServerGone(f"{host}:{port} takes no connection: {error}") from error
        await asyncio.sleep(RECONNECT_S)


OnAnswer = Callable[[int, Answer], None]


class Phase:
    """What the requests that were meant to leave in one span of time came to. `answers` counts by status; a request
    without an answer counts under the reason."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answers: Counter[str] = Counter()
        self._latencies = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)

    def answered(self, status: int, latency_s: float) -> None:
        self._took(str(status), latency_s)

    def lost(self, reason: str, waited_s: float) -> None:
        """A request that left and got no answer took as long as it was waited for."""
        self._took(reason, waited_s)

    def _took(self, answer: str, latency_s: float) -> None:
        self.answers[answer] += 1
        self._latencies.record_value(min(HIGHEST_US, max(LOWEST_US, round(latency_s * 1_000_000))))

    def percentile_ms(self, percent: float) -> float:
        """0 where no request left."""
        return float(self._latencies.get_value_at_percentile(percent)) / 1000 if self.answers else 0.0

    @property
    def worst_ms(self) -> float:
        return self.percentile_ms(100.0)


class OpenLoop:
    """`next_request(number)` makes the request, `on_answer` gets what came. For one event loop."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        per_second: float,
        connections: int,
        next_request: Callable[[int], bytes],
        on_answer: OnAnswer,
    ) -> None:
        self._host, self._port = host, port
        self._per_second = per_second
        self._connections = connections
        self._next_request = next_request
        self._on_answer = on_answer
        self._waiting: asyncio.Queue[tuple[int, float, Phase]] = asyncio.Queue(MAX_WAITING)
        self._phase = self._before = Phase("start")
        self._began_at = 0.0  # the phase, on the loop's clock
        self._ending = False

    def begin(self, name: str) -> Phase:
        """What is meant to leave from now on counts for a new phase."""
        self._before, self._phase = self._phase, Phase(name)
        self._began_at = asyncio.get_running_loop().time()
        return self._phase

    def end(self) -> None:
        """No more requests; `run` returns when those that are under way are answered."""
        self._ending = True

    async def run(self) -> None:
        """Raises ServerGone."""
        workers: asyncio.Future[list[None]] = asyncio.gather(*(self._work() for _ in range(self._connections)))
        sending: asyncio.Future[None] = asyncio.ensure_future(self._send())
        parts: list[asyncio.Future[Any]] = [workers, sending]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            if workers.done():
                workers.result()
        finally:
            workers.cancel()
            sending.cancel()
            await asyncio.gather(workers, sending, return_exceptions=True)

    async def _send(self) -> None:
        await self._schedule()
        await self._waiting.join()

    async def _schedule(self) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        for number in count():
            due_at = began + number / self._per_second
            if (wait_s := due_at - clock()) > 0:
                await asyncio.sleep(wait_s)
            if self._ending:
                return
            phase = self._phase if due_at >= self._began_at else self._before
            try:
                self._waiting.put_nowait((number, due_at, phase))
            except asyncio.QueueFull:
                phase.answers["never sent: every connection was busy"] += 1

    async def _work(self) -> None:
        clock = asyncio.get_running_loop().time
        link = await connected(self._host, self._port)
        try:
            while True:
                number, due_at, phase = await self._waiting.get()
                try:
                    async with asyncio.timeout(ANSWER_TIMEOUT_S):
                        answer = await link.ask(self._next_request(number))
                except (BrokenAnswer, TimeoutError) as error:
                    phase.lost(str(error) or "no answer in time", clock() - due_at)
                    link.close()
                    link = await connected(self._host, self._port)
                else:
                    phase.answered(answer.status, clock() - due_at)
                    self._on_answer(number, answer)
                finally:
                    self._waiting.task_done()
        finally:
            link.close()
