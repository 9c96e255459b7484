"""A venue with trades, reports in disorder, and adapters that may end between any two steps, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from msgspec.structs import replace

from exchange_adapter.policy import Limits
from exchange_adapter.recorder import Recorder
from exchange_adapter.reports import ReportReader
from exchange_adapter.unmatched import UnmatchedReports
from exchange_adapter.venue import Report, ReportPosition
from orders.domain.errors import Refusal
from orders.domain.values import Capabilities
from orders.eventstore.port import Appended, Conflict, Unit
from tests.support.adapter_floor import FULL, PLAIN, FaultyAppender, Floor, LostAnswer, Process
from tests.support.model_venue import ModelVenue
from tests.support.report_reading import Journal, Positions
from tests.support.virtual_time import InlineExecutor, VirtualLoop, pass_time

T = TypeVar("T")

ASKS = Capabilities(queries=True, cancels=True, replaces=True, late_arrival_s=20.0)
DEDUPLICATES = Capabilities(deduplicates=True, cancels=True, replaces=True, repeats_answers=True, late_arrival_s=20.0)
FORGETS = Capabilities(cancels=True, replaces=True)
VENUES = {
    "full": FULL,
    "asks": ASKS,
    "asks and hears": replace(ASKS, reports=True),
    "deduplicates": DEDUPLICATES,
    "deduplicates and hears": replace(DEDUPLICATES, reports=True),
    "forgets": FORGETS,
    "forgets and hears": replace(FORGETS, reports=True),
    "plain": PLAIN,
}
"""A venue that reports settles much by itself: each of the others is tried without that, too."""

CALL_TIMEOUT_S = 3.0
STEP_S = 0.01  # between any two steps of a turn: time enough to end in between
SETTLED_AFTER_S = 130.0  # the longest backoff thrice, and the bounds after which "not found" is believed
MOST_PROCESSES = 3


def settles_all(venue: Capabilities) -> bool:
    """Whether every doubt ends without a person."""
    return venue.deduplicates or venue.queries


class StepwiseAppender(FaultyAppender):
    """Time passes before the commit, and between it and the answer. `on_commit` is told what was written."""

    on_commit: Callable[[], None] = staticmethod(lambda: None)

    async def append_whole(self, units: Sequence[Unit]) -> list[Appended | Conflict]:
        await pass_time(STEP_S)
        try:
            answers = await super().append_whole(units)
        finally:
            self.on_commit()
        await pass_time(STEP_S)
        return answers


class SlowThread(Executor):
    """A thread whose work takes a step; where nothing comes of it, as long as an idle stream waits."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - as an executor does
                future.set_exception(error)
            else:
                idle = isinstance(result, list) and not result
                self._loop.call_later(0.5 if idle else STEP_S, future.set_result, result)

        self._loop.call_later(STEP_S, run)
        return future


class DisorderlyStream(Journal.Stream):
    """The journal's reports, some of them twice, and each batch in any order."""

    random: Random

    def next_batch(self, limit: int, timeout_s: float) -> Sequence[Report]:
        batch = list(super().next_batch(self.random.randint(1, 6), timeout_s))
        if batch:
            again = self.random.choices(self._journal.reports[: self._seq], k=self.random.randint(0, 3))
            batch += again
            self.random.shuffle(batch)
        return batch


class Adapter:
    """A process: its working parts and its reader of reports."""

    def __init__(self, floor: Floor, positions: Positions) -> None:
        self.process: Process = floor.start()
        recorder = Recorder(self.process.handler, new_id=floor.new_id, utc=floor.loop.utc)
        unmatched = UnmatchedReports("test", floor.store, floor.appender, InlineExecutor(), floor.loop.utc)
        thread = SlowThread(floor.loop)
        reader = ReportReader(
            venue=floor.venue, recorder=recorder, positions=positions, unmatched=unmatched, thread=thread
        )
        self._reads: asyncio.Task[None] | None = None
        if floor.venue.capabilities.reports:
            reader.own(True)
            self._reads = floor.loop.create_task(reader.run(asyncio.Event()))

    async def crash(self) -> None:
        if self._reads is not None:
            self._reads.cancel()
            await asyncio.gather(self._reads, return_exceptions=True)
        await self.process.crash()


class World:
    """What outlives the adapters, and what befalls them."""

    def __init__(self, loop: VirtualLoop, venue: Capabilities, seed: int) -> None:
        self.random = Random(seed)
        self.floor = Floor(loop, venue, Limits(call_timeout_s=CALL_TIMEOUT_S), 500)
        self.appender = self.floor.appender = StepwiseAppender(self.floor.store)
        self.floor.thread_delay_s = STEP_S
        self.venue = ModelVenue(venue, seed, CALL_TIMEOUT_S)
        self.orders: list[UUID] = []
        self._adapters: list[Adapter] = []
        self._positions = Positions()
        self._journal = Journal()
        self._connect()

    def _connect(self) -> None:
        scripted, model = self.floor.venue, self.venue
        for method in ("submit", "cancel", "replace", "query"):
            answer, recorded = getattr(model, method), getattr(scripted, method)
            setattr(scripted, method, lambda asked, recorded=recorded, answer=answer: recorded(asked) and answer(asked))
        model.report = self._journal.tell
        scripted.reports = self._stream  # type: ignore[method-assign]

    def _stream(self, after: ReportPosition) -> DisorderlyStream:
        stream = DisorderlyStream(self._journal, after.seq)
        stream.random = self.random
        return stream

    def start(self) -> None:
        if len(self._adapters) < MOST_PROCESSES:
            self._adapters.append(Adapter(self.floor, self._positions))

    async def crash(self) -> None:
        """All of them, wherever they are, and one starts afresh."""
        while self._adapters:
            await self._adapters.pop().crash()
        self.start()

    def place(self, count: int) -> None:
        self.orders += self.floor.client.place(count, limit_price="1.10000")

    def cancel(self, order_id: UUID) -> None:
        self._ask(lambda: self.floor.client.cancel(order_id))

    def replace(self, order_id: UUID, quantity: int) -> None:
        self._ask(lambda: self.floor.client.replace(order_id, quantity=quantity))

    def trade(self, order_id: UUID, quantity: int) -> None:
        """At a venue that would not report it, nobody would ever hear of it."""
        if self.venue.capabilities.reports:
            self.venue.trade(order_id, quantity)

    def lose_an_answer(self) -> None:
        self.floor.appender.faults.append(LostAnswer())

    async def befall(self, random: Random) -> None:
        """One thing, and some time after it: mostly less than a turn takes, now and then a timeout or longer."""
        await self._do(random)
        await pass_time(random.uniform(0.0, random.choice([0.4] * 7 + [6.0, 6.0, 30.0])))

    async def _do(self, random: Random) -> None:
        if not self.orders or random.random() < 0.15:
            self.place(random.randint(1, 2))
            return
        order_id = random.choice(self.orders[-4:])
        match random.randrange(20):
            case 0 | 1 | 2:
                self.cancel(order_id)
            case 3 | 4 | 5 | 6:
                self.replace(order_id, random.randint(1, 30))
            case 7 | 8 | 9 | 10 | 11 | 12:
                self.trade(order_id, random.randint(1, 12))
            case 13 | 14 | 15:
                await self.crash()
            case 16:
                self.start()
            case 17:
                self.lose_an_answer()
            case 18 | 19:
                self.floor.appender.away = not self.floor.appender.away and random.random() < 0.5

    async def calm_down(self) -> None:
        """No trouble any more, and time for all to be settled."""
        self.venue.trouble = 0.0
        self.floor.appender.away = False
        self.floor.appender.faults.clear()
        await self.crash()
        await pass_time(SETTLED_AFTER_S + (self.floor.venue.capabilities.late_arrival_s or 0.0))

    async def end(self) -> None:
        while self._adapters:
            await self._adapters.pop().crash()

    def _ask(self, ask: Callable[[], None]) -> None:
        try:
            ask()
        except Refusal:
            return
