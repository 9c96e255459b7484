"""The adapter's process: its parts, started and stopped together.

                 queues ──▶ intake ─┐  (where there is a RabbitMQ)
                                    ▼
table of duties ──▶ feeder ──▶ window ──▶ dispatcher ──▶ venue
      ▲                                       │
   follower ◀── event log ◀── recorder ◀──────┴── reports ◀── venue
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from msgspec.structs import replace

from exchange_adapter.alert_board import LogAlerts, PostgresAlertBoard
from exchange_adapter.alert_notices import AlertNotices
from exchange_adapter.alerts import AlertKind
from exchange_adapter.bounds import (
    CLOSE_WAIT_S,
    LOOP_ANSWER_S,
    MAX_QUEUED_READS,
    READ_THREADS,
    SILENT_SHARE,
    THREADS_POLL_S,
)
from exchange_adapter.breaker import Breaker
from exchange_adapter.call_pool import Calls
from exchange_adapter.clock import Clock
from exchange_adapter.config import AdapterConfig
from exchange_adapter.dispatcher import Dispatcher
from exchange_adapter.errors import RESTART_EXIT_CODE, PoolExhausted
from exchange_adapter.figures import Figures, Working
from exchange_adapter.ownership import Owned, Ownership
from exchange_adapter.policy import Limits
from exchange_adapter.process_alerts import Condition, ProcessAlerts, breaker_open, calls_hang, duties_stalled
from exchange_adapter.rate import CallRate
from exchange_adapter.recorder import Recorder
from exchange_adapter.rematching import PostgresNotedReports, Rematching
from exchange_adapter.report_position import PostgresReportPositions
from exchange_adapter.reports import ReportReader
from exchange_adapter.unmatched import UnmatchedReports
from exchange_adapter.venue import Venue
from exchange_adapter.venue_calls import Submits, VenueCalls
from exchange_adapter.venue_requests import Requests
from exchange_adapter.waiting import first_of
from exchange_adapter.webhook import Webhook
from exchange_adapter.work.duties import Changed, DutyFollower, PostgresDuties, PostgresSentRequests
from exchange_adapter.work.feeder import Feeder
from exchange_adapter.work.intake import Intake
from exchange_adapter.work.window import DutyWindow
from exchange_adapter.workers import Worker
from orders.domain.terms import Rules
from orders.eventstore.group_commit import Writer
from orders.eventstore.port import EventStore
from orders.eventstore.read_threads import ReadThreads
from orders.eventstore.subscription import Hints
from orders.handlers import CommandHandler

if TYPE_CHECKING:
    from exchange_adapter.work.queues import WorkQueues

log = structlog.get_logger(__name__)


def run_adapter(
    config: AdapterConfig,
    *,
    store: EventStore,
    hints: Hints,
    venue: Venue,
    stop: Event,
    ready: Callable[[], None] = lambda: None,
) -> int:
    """Works until `stop` is set; returns the process' exit code: RESTART_EXIT_CODE where it wants to be started afresh.

    The caller closes the store and the hints. Ends within `drain_s` and END_S of the stop, whatever hangs: the
    process is to be ended by os._exit, since a thread may still run.
    """
    return asyncio.run(_Adapter(config, store, hints, venue).run(stop, ready))


def worker_id() -> str:
    """Fresh for each process start; tells a person where to look."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(3)}"


async def _until_one_ends(threads: Sequence[Thread], stopping: asyncio.Event) -> None:
    """Watches threads that should run until the stop: without one of them the process would live on and do nothing."""
    while not stopping.is_set():
        for thread in threads:
            if not thread.is_alive():
                log.error("a thread of the adapter has ended: the adapter is started afresh", thread=thread.name)
                return
        await first_of(stopping, timeout_s=THREADS_POLL_S)


class _Adapter:
    """The object graph of one process. Built on its event loop."""

    def __init__(self, config: AdapterConfig, store: EventStore, hints: Hints, venue: Venue) -> None:
        self._venue = venue
        self._capabilities = replace(venue.capabilities, resends_in_doubt=config.resends_in_doubt)
        self._writer = Writer(store)
        self._reads = ThreadPoolExecutor(READ_THREADS, "order-reads")
        self._duty_reads = ThreadPoolExecutor(1, "duty-reads")
        self._claims = ThreadPoolExecutor(1, "request-claims")  # of their own: a slow read of duties delays no call
        self._report_reads = ThreadPoolExecutor(1, "report-reads")
        self._alert_thread = ThreadPoolExecutor(1, "alerts")
        self._duties = PostgresDuties(config.database_url, self._capabilities)
        self._sent_requests = PostgresSentRequests(config.database_url)
        self._positions = PostgresReportPositions(config.database_url, config.venue_name)
        self._clock = Clock()
        self._worker = worker_id()
        rules = Rules(catalogue=config.catalogue, venue=self._capabilities)
        handler = CommandHandler(store, self._writer, rules, ReadThreads(self._reads, most=MAX_QUEUED_READS))
        recorder = Recorder(handler, new_id=config.new_id, utc=self._clock.utc)
        self._window = DutyWindow()
        self._calls = Calls(config.max_calls)
        self._rate = CallRate(config.calls_per_s, self._clock.monotonic)
        self._breaker = Breaker(silent_after_s=SILENT_SHARE * config.limits.call_timeout_s)
        self._alerts = ProcessAlerts(self._worker, self._conditions(), self._clock.utc, self._window.for_person)
        venue_calls = VenueCalls(venue, recorder, config.limits, self._clock, Random(), self._rate, self._alerts.note)
        self._call_seconds = venue_calls.seconds
        self._submits = Submits(venue_calls, handler, recorder, self._worker)
        self._drain_s = config.drain_s
        self._dispatcher = self._dispatching(handler, recorder, venue_calls, config.limits)
        self._feeder = Feeder(
            duties=self._duties,
            window=self._window,
            venue=self._capabilities,
            wake=self._dispatcher.wake,
            clock=self._clock,
            threads=self._duty_reads,
            know=handler.know,
        )
        self._queues = self._listening(config.amqp_url, handler)
        self._reports = self._reading(config, store, recorder)
        self._noted = PostgresNotedReports(config.database_url, config.venue_name)
        self._rematching = Rematching(self._noted, store, self._reports.record_order, self._reads)
        self._follower = DutyFollower(
            store,
            config.direct_url,
            hints,
            on_change=self._changed,
            alerts=LogAlerts(self._capabilities, self._clock.utc),
        )
        self._alert_board = PostgresAlertBoard(config.direct_url, self._worker)
        self._notices = self._telling(config)
        self._ownership = self._owning(config)
        self._loop: asyncio.AbstractEventLoop | None = None

    def _dispatching(
        self, handler: CommandHandler, recorder: Recorder, calls: VenueCalls, limits: Limits
    ) -> Dispatcher:
        return Dispatcher(
            handler=handler,
            venue=self._capabilities,
            window=self._window,
            calls=self._calls,
            submits=self._submits,
            requests=Requests(calls, handler, recorder, self._claim_request),
            recorder=recorder,
            limits=limits,
            clock=self._clock,
            breaker=self._breaker,
            rate=self._rate,
            drain_s=self._drain_s,
        )

    def _listening(self, amqp_url: str, handler: CommandHandler) -> WorkQueues | None:
        if not amqp_url:
            return None
        from exchange_adapter.work.queues import WorkQueues  # aio-pika takes 0.15 s to import

        intake = Intake(handler=handler, window=self._window, venue=self._capabilities, wake=self._dispatcher.wake)
        return WorkQueues(amqp_url, f"orders adapter {self._worker}", intake, listen=self._feeder.listen)

    def _reading(self, config: AdapterConfig, store: EventStore, recorder: Recorder) -> ReportReader:
        return ReportReader(
            venue=self._venue,
            recorder=recorder,
            positions=self._positions,
            unmatched=UnmatchedReports(config.venue_name, store, self._writer, self._reads, self._clock.utc),
            thread=self._report_reads,
        )

    def _owning(self, config: AdapterConfig) -> Ownership:
        return Ownership(
            config.direct_url,
            Worker(self._worker, config.venue_name),
            on_change=self._owned,
            working=self._working,
            other_pids=self._other_pids,
            reports=self._venue.capabilities.reports,
        )

    def _conditions(self) -> dict[AlertKind, Condition]:
        return {
            AlertKind.BREAKER_OPEN: breaker_open(self._breaker),
            AlertKind.CALLS_HANG: calls_hang(self._calls),
            AlertKind.REPORTS_STALLED: self._reports_stalled,
            AlertKind.DUTIES_STALLED: self._duties_stalled,
        }

    def _reports_stalled(self) -> str | None:
        return self._reports.stalled()

    def _duties_stalled(self) -> str | None:
        return duties_stalled(self._follower.follower)()

    def _telling(self, config: AdapterConfig) -> AlertNotices:
        return AlertNotices(
            board=self._alert_board,
            own=self._alerts.look,
            webhook=Webhook(config.alert_webhook_url) if config.alert_webhook_url else None,
            clock=self._clock,
            threads=self._alert_thread,
            random=Random(),
            pause_s=config.alert_pause_s,
        )

    async def run(self, stop: Event, ready: Callable[[], None]) -> int:
        self._loop = asyncio.get_running_loop()
        stopping, ended = asyncio.Event(), Event()
        threads = [
            Thread(target=self._follower.run, args=(ended,), name="duty follower", daemon=True),
            Thread(target=self._ownership.run, args=(ended,), name="shard locks", daemon=True),
        ]
        Thread(target=self._pass_on, args=(stop, stopping), name="stop", daemon=True).start()
        self._writer.start()
        for thread in threads:
            thread.start()
        log.info("adapter started", worker=self._worker, venue=type(self._venue).__name__)
        ready()
        try:
            return await self._work(stopping, threads)
        finally:
            ended.set()
            closing = Thread(target=self._close, name="close", daemon=True)  # it closes the venue: foreign code
            closing.start()
            await asyncio.gather(*(asyncio.to_thread(thread.join, CLOSE_WAIT_S) for thread in (*threads, closing)))
            log.info("adapter stopped", worker=self._worker)

    async def _work(self, stopping: asyncio.Event, threads: Sequence[Thread]) -> int:
        """Until the stop, or until one part or thread ends by itself: then the others are stopped too."""
        working = (self._dispatcher, self._feeder, self._queues, self._reports, self._rematching, self._notices)
        parts = [asyncio.ensure_future(part.run(stopping)) for part in working if part is not None]
        parts.append(asyncio.ensure_future(_until_one_ends(threads, stopping)))
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        asked = stopping.is_set()
        stopping.set()
        self._ownership.leave()
        _, left = await asyncio.wait(parts, timeout=self._drain_s + 2 * CLOSE_WAIT_S)
        for part in left:
            part.cancel()
        if left:
            log.warning("parts of the adapter did not stop in time and are cut off", parts=len(left))
            await asyncio.wait(left, timeout=CLOSE_WAIT_S)
        ended = [part for part in parts if part.done() and not part.cancelled()]
        failures = [failure for part in ended if (failure := part.exception()) is not None]
        for failure in failures:
            if isinstance(failure, PoolExhausted):
                log.error("too many calls hang: the adapter is started afresh", reason=str(failure))
            else:
                log.error("a part of the adapter failed", exc_info=failure)
        return RESTART_EXIT_CODE if failures or not asked else 0

    def _pass_on(self, stop: Event, stopping: asyncio.Event) -> None:
        stop.wait()
        self._tell(stopping.set)

    def _changed(self, changed: Changed) -> None:
        self._tell(partial(self._feeder.changed, changed))

    def _owned(self, owned: Owned) -> None:
        self._tell(partial(self._rate.own, len(owned.shards)))
        self._tell(partial(self._feeder.own, owned.shards))
        if self._queues is not None:
            self._tell(partial(self._queues.own, owned.shards))
        self._tell(partial(self._reports.own, owned.reports))
        self._tell(partial(self._rematching.own, owned.reports))

    def _working(self) -> Working | None:
        """Asked of the loop, after all that it was told before."""
        answer: Future[Working] = Future()
        self._tell(lambda: answer.set_result(Working(self._busy_shards(), self._figures())))
        try:
            return answer.result(LOOP_ANSWER_S)
        except TimeoutError:
            return None

    def _busy_shards(self) -> frozenset[int]:
        consumed = frozenset[int]() if self._queues is None else self._queues.busy_shards
        return self._window.busy_shards | consumed

    def _figures(self) -> Figures:
        opened_at = self._breaker.opened_at
        return Figures(
            calls_running=self._calls.running,
            calls_hanging=self._calls.lost,
            calls_limit=self._calls.limit,
            breaker_open_s=None if opened_at is None else round(self._clock.monotonic() - opened_at, 1),
            duties=len(self._window),
            turns_running=self._dispatcher.running,
            turns_ended=self._dispatcher.turns_ended,
            attempts=self._submits.attempts,
            call_seconds=self._call_seconds.observed(),
            messages=None if self._queues is None else self._queues.figures(),
        )

    def _other_pids(self) -> list[int]:
        pid = self._follower.follower.backend_pid
        return [pid for pid in (pid, self._alert_board.backend_pid) if pid is not None]

    def _tell(self, callback: Callable[[], None]) -> None:
        """From any thread; nothing once the loop is closed."""
        assert self._loop is not None
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

    async def _claim_request(self, request_id: UUID, order_id: UUID) -> bool:
        claim = partial(self._sent_requests.claim_request, request_id, order_id, self._worker)
        return await asyncio.get_running_loop().run_in_executor(self._claims, claim)

    def _close(self) -> None:
        self._writer.close(CLOSE_WAIT_S)
        self._venue.close()
        for executor in (self._reads, self._duty_reads, self._claims, self._report_reads, self._alert_thread):
            executor.shutdown(wait=False, cancel_futures=True)
        self._duties.close()
        self._sent_requests.close()
        self._positions.close()
        self._noted.close()
        self._alert_board.close()
