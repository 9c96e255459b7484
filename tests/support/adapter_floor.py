"""The adapter's own parts around a store in memory and a scripted venue, in virtual time. A crash loses what a process
knows; the store, the venue and calls that are under way stay."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Coroutine, Sequence
from random import Random
from typing import Any, ClassVar
from uuid import UUID

from msgspec import Struct

from exchange_adapter.alerts import AlertKind
from exchange_adapter.bounds import SILENT_SHARE
from exchange_adapter.breaker import Breaker
from exchange_adapter.call_pool import Calls, Raised, TooLate
from exchange_adapter.clock import Clock
from exchange_adapter.dispatcher import Dispatcher
from exchange_adapter.policy import Limits
from exchange_adapter.rate import CallRate
from exchange_adapter.recorder import Recorder
from exchange_adapter.venue import (
    CancelRequest,
    Done,
    NotFound,
    Outcome,
    Placed,
    ReplaceRequest,
    ReportPosition,
    ReportStream,
    VenueOrder,
)
from exchange_adapter.venue_calls import Submits, VenueCalls
from exchange_adapter.venue_requests import Requests
from exchange_adapter.work.feeder import Feeder
from exchange_adapter.work.intake import Intake
from exchange_adapter.work.window import DutyWindow
from orders.bounds import MAX_BATCH_BYTES
from orders.domain.events import SubmitStarted
from orders.domain.order import Order
from orders.domain.terms import Rules
from orders.domain.values import Capabilities, Delivery
from orders.eventstore.codec import encode_unit
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Appended, CommitUnknown, Conflict, StoreUnavailable, TooLarge, Unit
from orders.eventstore.read_threads import ReadThreads
from orders.handlers import CommandHandler
from tests.support.memory_duties import MemoryDuties
from tests.support.running_adapter import Client
from tests.support.virtual_time import InlineExecutor, VirtualLoop, pass_time, run_virtually

ALL_SHARDS = range(64)
PLAIN = Capabilities()
FULL = Capabilities(
    deduplicates=True,
    queries=True,
    cancels=True,
    replaces=True,
    reports=True,
    repeats_answers=True,
    late_arrival_s=60.0,
)


class Later(Struct, frozen=True):
    """The venue's outcome, seconds after it was called; `after_s` None: the call never returns."""

    after_s: float | None
    outcome: Outcome | None = None


class Called(Struct, frozen=True):
    method: str
    order_id: UUID
    at: float
    asked: Any


class ScriptedVenue:
    """Answers what it was told to, in turn, else as a venue would that has every order. An exception is raised."""

    capabilities: ClassVar[Capabilities] = FULL

    def __init__(self, capabilities: Capabilities, time: Callable[[], float]) -> None:
        self.capabilities = capabilities  # type: ignore[misc]
        self.calls: list[Called] = []
        self.script: defaultdict[str, deque[Outcome | Later | Exception]] = defaultdict(deque)
        self.on_call: Callable[[Called], None] = lambda called: None
        self._time = time

    def will(self, method: str, *outcomes: Outcome | Later | Exception) -> None:
        self.script[method].extend(outcomes)

    def of(self, method: str) -> list[Called]:
        return [called for called in self.calls if called.method == method]

    def submit(self, order: VenueOrder) -> Any:
        return self._answer("submit", order.order_id, order, Placed("V-1"))

    def cancel(self, request: CancelRequest) -> Any:
        return self._answer("cancel", request.order_id, request, Done())

    def replace(self, request: ReplaceRequest) -> Any:
        return self._answer("replace", request.order_id, request, Done(request.quantity, request.limit_price))

    def query(self, order_id: UUID) -> Any:
        return self._answer("query", order_id, None, NotFound())

    def reports(self, after: ReportPosition) -> ReportStream:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _answer(self, method: str, order_id: UUID, asked: Any, usual: Outcome) -> Any:
        called = Called(method, order_id, self._time(), asked)
        self.calls.append(called)
        self.on_call(called)
        script = self.script[method]
        outcome = script.popleft() if script else usual
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class ScriptedCalls(Calls):
    """Calls on the loop: the venue is called after `thread_delay_s`, and what it says may come later."""

    thread_delay_s = 0.0
    _timers: tuple[asyncio.TimerHandle, ...] = ()

    def crash(self) -> None:
        """No call begins any more, and no outcome is heard of."""
        for timer in self._timers:
            timer.cancel()

    def start(self, call: Callable[[], Any], claimed_at: float | None) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Any] = loop.create_future()

        def run() -> None:
            result: Any | Raised | TooLate = self._result(call, claimed_at)
            if not isinstance(result, Later):
                ended.set_result(result)
            elif result.after_s is not None:
                self._timers += (loop.call_later(result.after_s, ended.set_result, result.outcome),)

        self._timers += (loop.call_later(self.thread_delay_s, run),)
        return ended


class LostAnswer(Struct, frozen=True):
    """The append is made, and no one hears of it."""


class FaultyAppender:
    """Appends at once; `faults` befall the next appends, in turn: None (none), an exception (nothing is written), or a
    lost answer. `away`: the database is not there at all."""

    def __init__(self, store: MemoryEventStore) -> None:
        self._store = store
        self.faults: deque[Exception | LostAnswer | None] = deque()
        self.away = False
        self.delay_s = 0.0

    async def append(self, unit: Unit) -> Appended | Conflict:
        size_bytes = encode_unit(unit).size_bytes
        if size_bytes > MAX_BATCH_BYTES:
            raise TooLarge(f"{size_bytes} bytes in one unit")
        return (await self.append_whole([unit]))[0]

    async def append_whole(self, units: Sequence[Unit]) -> list[Appended | Conflict]:
        if not units:
            return []
        if self.away:
            raise StoreUnavailable("the database is away")
        if self.delay_s:
            await pass_time(self.delay_s)
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        answer = self._store.append(units)
        if isinstance(fault, LostAnswer):
            raise CommitUnknown("the answer was lost")
        return answer


class Process:
    """One run of the adapter's working parts. `stop` is graceful, `crash` is not."""

    def __init__(self, floor: Floor, number: int, shards: Collection[int]) -> None:
        self.worker = f"worker-{number}"
        venue, loop = floor.venue, floor.loop
        handler = CommandHandler(
            floor.store, floor.appender, Rules(venue=venue.capabilities), ReadThreads(InlineExecutor())
        )
        self.handler = handler
        recorder = Recorder(handler, new_id=floor.new_id, utc=loop.utc)
        clock = Clock(monotonic=loop.time, utc=loop.utc)
        self.calls = ScriptedCalls(floor.threads, monotonic=loop.time)
        self.calls.thread_delay_s = floor.thread_delay_s
        self.window = DutyWindow()
        self.rate = CallRate(floor.calls_per_s, loop.time)
        self.rate.own(len(shards))
        random = Random(number)
        self.venue_calls = VenueCalls(venue, recorder, floor.limits, clock, random, self.rate, self._note)
        self.breaker = Breaker(silent_after_s=SILENT_SHARE * floor.limits.call_timeout_s)
        self.submits = Submits(self.venue_calls, handler, recorder, self.worker)
        self.dispatcher = Dispatcher(
            handler=handler,
            venue=venue.capabilities,
            window=self.window,
            calls=self.calls,
            submits=self.submits,
            requests=Requests(self.venue_calls, handler, recorder, self._claim_request),
            recorder=recorder,
            limits=floor.limits,
            clock=clock,
            breaker=self.breaker,
            rate=self.rate,
        )
        self.feeder = Feeder(
            duties=floor.duties,
            window=self.window,
            venue=venue.capabilities,
            wake=self.dispatcher.wake,
            clock=clock,
            threads=InlineExecutor(),
        )
        self.intake = Intake(handler=handler, window=self.window, venue=venue.capabilities, wake=self.dispatcher.wake)
        self._floor = floor
        self._stop = asyncio.Event()
        self.feeder.own(shards)
        parts = (self.dispatcher, self.feeder, self.intake)
        self.tasks = [loop.create_task(part.run(self._stop)) for part in parts]

    async def stop(self) -> None:
        self._stop.set()
        await asyncio.gather(*self.tasks)

    async def crash(self) -> None:
        """Nothing that it would have done is done; what the venue has got, it has."""
        self.calls.crash()
        turns = list(self.dispatcher._turns)  # there is no other way to end them at once, and the product needs none
        for task in (*self.tasks, *turns):
            task.cancel()
        await asyncio.gather(*self.tasks, *turns, return_exceptions=True)

    def _note(self, kind: AlertKind, order_id: UUID, detail: str) -> None:
        self._floor.noted.append((kind, order_id))

    async def _claim_request(self, request_id: UUID, order_id: UUID) -> bool:
        return self._floor.duties.claim_request(request_id, order_id, self.worker)


class Floor:
    """What outlives a process: log, venue, duties, time."""

    def __init__(self, loop: VirtualLoop, venue: Capabilities, limits: Limits, threads: int) -> None:
        self.loop = loop
        self.limits = limits
        self.threads = threads
        self.thread_delay_s = 0.0
        self.calls_per_s: float | None = None
        self.store = MemoryEventStore()
        self.venue = ScriptedVenue(venue, loop.time)
        self.appender = FaultyAppender(self.store)
        self.duties = MemoryDuties(self.store, venue)
        self.noted: list[tuple[AlertKind, UUID]] = []
        self.client = Client(self.store, venue, loop.utc)
        self._processes = 0
        self._random = Random(7)

    def new_id(self) -> UUID:
        return UUID(int=self._random.getrandbits(128), version=4)

    def start(self, shards: Collection[int] = ALL_SHARDS) -> Process:
        self._processes += 1
        return Process(self, self._processes, shards)

    def history(self, order_id: UUID) -> list[str]:
        return self.client.history(order_id)

    def order(self, order_id: UUID) -> Order:
        return self.client.order(order_id)


def on_floor(
    test: Callable[[Floor], Coroutine[Any, Any, None]],
    venue: Capabilities = FULL,
    *,
    threads: int = 500,
    **limits: Any,
) -> None:
    """Runs the test in virtual time, and looks at the whole log afterwards."""

    async def checked(loop: VirtualLoop) -> None:
        floor = Floor(loop, venue, Limits(**limits), threads)
        await test(floor)
        check_log(floor)

    run_virtually(checked)


def check_log(floor: Floor) -> None:
    """What holds of every log: ids are unique, attempts are numbered, and no call was made without its claim."""
    log = floor.store.read_log(after=0, limit=1_000_000)
    assert len({recorded.event.event_id for recorded in log}) == len(log)
    claimed: defaultdict[UUID, list[int]] = defaultdict(list)
    for recorded in log:
        if isinstance(recorded.event, SubmitStarted):
            claimed[recorded.stream_id].append(recorded.event.attempt)
    called = Counter(call.order_id for call in floor.venue.of("submit"))
    for order_id, attempts in claimed.items():
        assert attempts == list(range(1, len(attempts) + 1))
        assert called[order_id] <= len(attempts)
    assert called.keys() <= claimed.keys()


async def resting(floor: Floor) -> UUID:
    """An order at the venue, and an adapter that runs."""
    (order_id,) = floor.client.place(limit_price="1.10000")
    floor.start()
    await pass_time(1)
    assert floor.order(order_id).delivery is Delivery.ACKED
    return order_id


def after_placing(floor: Floor, order_id: UUID) -> list[str]:
    history = floor.history(order_id)
    assert history[:3] == ["OrderPlaced", "SubmitStarted", "OrderAccepted"]
    return history[3:]
