"""One run of a steady load over a service whose exchange is well, goes down, is well again, hangs, and so on."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from load.http_client import Answer, post
from load.open_loop import OpenLoop, Phase
from load.resting_orders import Changes
from load.servers import HOST
from load.venue_journal import Pace, VenueJournal
from simulated_exchange.control_client import ask
from simulated_exchange.journal import FILE_NAME

Fault = Literal["down", "hanging"]

QUANTITY = 10
MARKET = {"symbol": "EURUSD", "quantity": QUANTITY}
RESTING = {"symbol": "EURUSD", "quantity": QUANTITY, "limit_price": "0.50000"}  # far below the market: it never fills
RESTING_EVERY = 10  # orders, one rests and may be changed and canceled
SPARE_OUTAGE_S = 600.0  # the outage is ended by hand, and must not end by itself before
JOURNAL_POLL_S = 0.25
DRAIN_AT_LEAST_S = 60.0  # what a drain may take in any case: probes, backoff, calls that still time out
DRAIN_SLACK = 4.0  # times what it would take at the venue's capacity
CALM_S = 1.0  # after a drain, before latency is compared again: fills of the house, tables


class NotDrained(Exception):
    """Orders of a backlog were not placed within the bound."""


class Placed(Struct):
    order_id: str


class Measured(Struct, frozen=True, kw_only=True):
    """One phase. Latencies in milliseconds, from the time that a request was meant to leave."""

    name: str
    orders: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    unexpected: dict[str, int]


class Drain(Struct, frozen=True, kw_only=True):
    """How what had come together was placed; `began_s` after the exchange was well again."""

    fault: Fault
    fault_s: float
    backlog: int
    per_second: float
    began_s: float
    took_s: float
    p99_ms: float


class Pair(Struct, frozen=True):
    """A healthy phase, the fault after it, and the drain that follows."""

    healthy: Measured
    broken: Measured
    drain: Drain | None

    @property
    def ratio(self) -> float:
        return self.broken.p99_ms / self.healthy.p99_ms if self.healthy.p99_ms else 0.0


class Desk:
    """The clients of one service; all their orders and what they were told."""

    def __init__(
        self, port: int, exchange: Path, changes: Changes, *, per_second: float, connections: int, capacity: int
    ) -> None:
        host = f"{HOST}:{port}"
        self.accepted: list[str] = []
        self.measured: list[Measured] = []
        self.changes = changes
        self.journal = VenueJournal(exchange / FILE_NAME)
        self._requests = {terms: post(host, "/orders", msgspec.json.encode(body)) for terms, body in _TERMS.items()}
        self._decoder = msgspec.json.Decoder(Placed)
        self._load = OpenLoop(
            HOST,
            port,
            per_second=per_second,
            connections=connections,
            next_request=lambda number: self._requests[number % RESTING_EVERY == 0],
            on_answer=self._answered,
        )
        self._exchange = exchange
        self._capacity = capacity
        self._per_second = per_second
        self._running: list[asyncio.Future[None]] = []

    async def start(self) -> None:
        await self._set(capacity=self._capacity)
        self._running = [asyncio.ensure_future(self._load.run()), asyncio.ensure_future(self.changes.run())]

    async def stop(self) -> None:
        """Every request that is under way is answered first."""
        self._load.end()
        self.changes.end()
        await asyncio.gather(*self._running)

    async def measure(self, name: str, seconds: float) -> Measured:
        phase = self._begin(name)
        done, _ = await asyncio.wait(self._running, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for ended in done:
            ended.result()
        return self._end(phase)

    async def pair(self, fault: Fault, healthy_s: float, fault_s: float) -> Pair:
        """Raises NotDrained."""
        healthy = await self.measure("healthy", healthy_s)
        await (self._set(outage_s=fault_s + SPARE_OUTAGE_S) if fault == "down" else self._set(hang_rate=1.0))
        broken = await self.measure(fault, fault_s)
        await asyncio.to_thread(self.journal.read)
        backlog = self._unplaced(self.accepted)
        await (self._set(outage_s=0.0) if fault == "down" else self._set(hang_rate=0.0))
        return Pair(healthy, broken, await self._drain(fault, fault_s, backlog))

    async def _drain(self, fault: Fault, fault_s: float, backlog: set[str]) -> Drain | None:
        mended_at, began = time.time(), time.monotonic()
        phase = self._begin(f"after {fault}")
        net = max(1.0, self._capacity - self._per_second)
        give_up_at = began + DRAIN_AT_LEAST_S + DRAIN_SLACK * len(backlog) / net
        left = backlog
        while left := self._unplaced(left):
            if time.monotonic() > give_up_at:
                raise NotDrained(f"{len(left)} of {len(backlog)} orders were not placed, like {min(left)}")
            await asyncio.sleep(JOURNAL_POLL_S)
            self.journal.read()
        took_s = time.monotonic() - began
        ended = self._end(phase)
        self._begin("calm")
        await asyncio.sleep(CALM_S)
        pace = self.journal.pace(backlog)
        return None if pace is None else _drain(pace, fault, fault_s, mended_at, took_s, ended)

    def _unplaced(self, order_ids: Collection[str]) -> set[str]:
        """Without those that were canceled before they were sent."""
        orders = self.changes.orders
        missing = self.journal.missing(order_ids)
        return {one for one in missing if one not in orders or not orders[one].canceled}

    def _begin(self, name: str) -> Phase:
        gc.collect()
        gc.freeze()  # what was kept so far stays: no long pause of the client's own while it measures
        return self._load.begin(name)

    def _end(self, phase: Phase) -> Measured:
        measured = measured_of(phase)
        self.measured.append(measured)
        return measured

    def _answered(self, number: int, answer: Answer) -> None:
        if answer.status != 201:
            return
        order_id = self._decoder.decode(answer.body).order_id
        self.accepted.append(order_id)
        if number % RESTING_EVERY == 0:
            self.changes.add(order_id, QUANTITY)

    async def _set(self, **faults: Any) -> None:
        await asyncio.to_thread(partial(ask, self._exchange, "faults", **faults))


_TERMS: dict[bool, dict[str, Any]] = {False: MARKET, True: RESTING}


def measured_of(phase: Phase) -> Measured:
    return Measured(
        name=phase.name,
        orders=phase.answers.total(),
        p50_ms=phase.percentile_ms(50),
        p99_ms=phase.percentile_ms(99),
        worst_ms=phase.worst_ms,
        unexpected={answer: count for answer, count in phase.answers.items() if answer != "201"},
    )


def _drain(pace: Pace, fault: Fault, fault_s: float, mended_at: float, took_s: float, phase: Measured) -> Drain:
    return Drain(
        fault=fault,
        fault_s=fault_s,
        backlog=pace.orders,
        per_second=pace.per_second,
        began_s=pace.first_at - mended_at,
        took_s=took_s,
        p99_ms=phase.p99_ms,
    )
