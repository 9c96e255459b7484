"""Tells persons of open alerts: by a log line, and by a webhook where there is one.

Told is of a kind, not of each alert: at once when the first opens, again when their number has changed or a new one has
opened, and once when all have ended; never more than once a pause, however they come and go. The last notice agrees
with the last state.

One process of all tells. It writes down each notice before it goes out, and again when it has arrived, so that another
one goes on where it ended: a notice that may not have arrived is told again under the same number, and what has changed
meanwhile under the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Protocol, TypeVar

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from exchange_adapter.alert_board import AlertBoard, Example, OpenKind, Told
from exchange_adapter.alerts import TITLES, Alert, AlertKind
from exchange_adapter.bounds import ALERT_PAUSE_S, ALERT_POLL_S, CLOSE_WAIT_S, MAX_ALERTS_COUNTED, WEBHOOK_RETRY_S
from exchange_adapter.clock import Clock
from exchange_adapter.waiting import first_of
from orders.eventstore.port import StoreUnavailable

T = TypeVar("T")

log = structlog.get_logger(__name__)

OPEN, CLEARED = "open", "cleared"


class Notice(Struct, frozen=True, kw_only=True):
    """What a webhook receives, as JSON. `id` is the kind and the notice's number; the same one again is a repeat.
    `summary` is a sentence for a phone's screen. `since`: when the oldest open alert opened; None where none is."""

    id: str
    kind: AlertKind
    state: str
    alerts: int
    since: datetime | None
    examples: list[Example]
    summary: str


class Post(Protocol):
    """Where notices go."""

    async def post(self, body: bytes) -> bool:
        """Whether the notice need not be posted again. Bounded in time; raises nothing."""
        ...

    async def close(self) -> None: ...


def next_told(told: Told | None, opened: OpenKind | None, now: datetime, pause_s: float = ALERT_PAUSE_S) -> Told | None:
    """What has to be told of a kind of which this is open; None: nothing now. `told` itself where that one is to be
    repeated."""
    alerts, newest = (opened.alerts, opened.newest) if opened else (0, None)
    if told is None:
        first = Told(number=1, open=True, alerts=alerts, newest=newest, told_at=now, delivered=False)
        return first if alerts else None
    if told.alerts == alerts and not _is_newer(newest, told.newest):
        return None if told.delivered else told
    if timedelta(0) <= now - told.told_at < timedelta(seconds=pause_s):
        return None
    number = told.number + 1
    return Told(number=number, open=alerts > 0, alerts=alerts, newest=newest, told_at=now, delivered=False)


def _is_newer(opened_at: datetime | None, told: datetime | None) -> bool:
    """One may have ended as another opened: the count alone would not tell."""
    return opened_at is not None and (told is None or opened_at > told)


def notice_of(kind: AlertKind, told: Told, opened: OpenKind | None, examples: Sequence[Example]) -> Notice:
    return Notice(
        id=f"{kind}/{told.number}",
        kind=kind,
        state=OPEN if told.open else CLEARED,
        alerts=told.alerts,
        since=None if opened is None else opened.since,
        examples=list(examples),
        summary=_summary(kind, opened, examples),
    )


def _summary(kind: AlertKind, opened: OpenKind | None, examples: Sequence[Example]) -> str:
    if opened is None:
        return f"{TITLES[kind]}: none any more"
    first = f". {examples[0].detail}" if examples else ""
    number = f"{opened.alerts:,} or more" if opened.alerts >= MAX_ALERTS_COUNTED else str(opened.alerts)
    return f"{TITLES[kind]}: {number}, since {opened.since:%H:%M} UTC{first}"


class AlertNotices:
    """`own` says what is wrong with this process. The board is called in `threads`, one call at a time."""

    def __init__(
        self,
        *,
        board: AlertBoard,
        own: Callable[[], Sequence[Alert]],
        webhook: Post | None,
        clock: Clock,
        threads: Executor,
        random: Random,
        pause_s: float = ALERT_PAUSE_S,
    ) -> None:
        self._board = board
        self._own = own
        self._webhook = webhook
        self._clock = clock
        self._threads = threads
        self._random = random
        self._pause_s = pause_s
        self._leads = False
        self._board_away = False
        self._told: dict[AlertKind, Told] = {}
        self._newest: dict[AlertKind, tuple[Told, bytes]] = {}  # with its body, of each kind that is being posted
        self._settling = asyncio.Lock()  # what is told and what has arrived, one after the other
        self._posting: dict[AlertKind, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                await self._try_to_look()
                await first_of(stop, timeout_s=ALERT_POLL_S)
        finally:
            self._give_up_posting()
            if self._webhook is not None:
                await self._webhook.close()
            await self._leave()

    async def _try_to_look(self) -> None:
        try:
            await self._look()
        except StoreUnavailable as error:
            if not self._board_away:
                log.warning("alerts wait for the database", error=str(error))
            self._board_away = True
            self._leads = False  # the lock may be gone: what was told is read again
        else:
            self._board_away = False

    async def _look(self) -> None:
        await self._blocking(partial(self._board.tell_own, self._own()))
        led, self._leads = self._leads, await self._blocking(self._board.lead)
        if not self._leads:
            self._give_up_posting()
            return
        if not led:
            self._give_up_posting()
            self._told = await self._blocking(self._board.told)
        now = self._clock.utc()
        await self._blocking(partial(self._board.tidy, now))
        opened = await self._blocking(self._board.open)
        for kind in AlertKind:
            await self._judge(kind, opened.get(kind), now)

    async def _judge(self, kind: AlertKind, opened: OpenKind | None, now: datetime) -> None:
        async with self._settling:
            await self._tell(kind, opened, now)

    async def _tell(self, kind: AlertKind, opened: OpenKind | None, now: datetime) -> None:
        told = next_told(self._told.get(kind), opened, now, self._pause_s)
        if told is None or (kind in self._posting and told == self._told.get(kind)):
            return
        examples = await self._blocking(partial(self._board.examples, kind)) if opened else []
        notice = notice_of(kind, told, opened, examples)
        await self._blocking(partial(self._board.write_told, kind, told))
        self._told[kind] = told
        _write_line(notice)
        if self._webhook is None:
            await self._delivered(kind, told)
            return
        self._newest[kind] = (told, msgspec.json.encode(notice))
        if kind not in self._posting:
            task = asyncio.ensure_future(self._post(kind, self._webhook))
            self._posting[kind] = task
            task.add_done_callback(partial(self._posted, kind))

    async def _post(self, kind: AlertKind, webhook: Post) -> None:
        """Until a notice has arrived, always the newest: a kind's own task, so that one waits for no other."""
        wait_s = WEBHOOK_RETRY_S[0]
        told, body = self._newest[kind]
        while not await webhook.post(body):
            await asyncio.sleep(wait_s * self._random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, WEBHOOK_RETRY_S[1])
            told, body = self._newest[kind]
        async with self._settling:
            await self._delivered(kind, told)

    def _posted(self, kind: AlertKind, task: asyncio.Task[None]) -> None:
        if self._posting.get(kind) is task:
            del self._posting[kind]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a notice could not be told", kind=kind.value, exc_info=error)

    async def _delivered(self, kind: AlertKind, told: Told) -> None:
        """A newer one that was made while this one was under way was not posted: it is made again after the pause."""
        told = self._told[kind] = replace(told, delivered=True, told_at=self._clock.utc())
        try:
            await self._blocking(partial(self._board.write_told, kind, told))
        except StoreUnavailable as error:
            log.warning("a notice may be told again", kind=kind.value, error=str(error))

    def _give_up_posting(self) -> None:
        for task in self._posting.values():
            task.cancel()
        self._posting.clear()

    async def _leave(self) -> None:
        """What was wrong with this process ends with it; another one ends what is left."""
        try:
            await asyncio.wait_for(self._blocking(partial(self._board.tell_own, ())), CLOSE_WAIT_S)
        except (StoreUnavailable, TimeoutError) as error:
            log.info("alerts of this process are left to the next", error=str(error))

    def _blocking(self, function: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function)


def _write_line(notice: Notice) -> None:
    write = log.error if notice.state == OPEN else log.info
    write(
        f"alert {notice.state}",
        summary=notice.summary,
        id=notice.id,
        kind=notice.kind.value,
        alerts=notice.alerts,
        since=None if notice.since is None else notice.since.isoformat(),
        examples=[{"key": example.key, "detail": example.detail} for example in notice.examples],
    )
