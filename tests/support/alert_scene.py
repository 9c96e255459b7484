"""The telling of alerts in virtual time: the table in memory, a receiver that breaks, and one process after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from random import Random
from typing import Any

import msgspec
import structlog

from exchange_adapter.alert_board import Example, OpenKind, Told
from exchange_adapter.alert_notices import AlertNotices
from exchange_adapter.alerts import Alert, AlertKind
from exchange_adapter.bounds import ALERT_PAUSE_S
from exchange_adapter.clock import Clock
from orders.eventstore.port import StoreUnavailable
from tests.support.virtual_time import EPOCH, InlineExecutor, VirtualLoop, run_virtually

HELD, PARKED = AlertKind.ORDER_HELD, AlertKind.ORDER_PARKED


class Board:
    """The table in memory. `alerts`: how many are open of each kind; `newest`: when the newest of them opened, EPOCH
    where a test does not care. `away`: the database is."""

    def __init__(self) -> None:
        self.alerts: dict[AlertKind, int] = {}
        self.newest: dict[AlertKind, datetime] = {}
        self.notices: dict[AlertKind, Told] = {}
        self.own: Sequence[Alert] = ()
        self.leads = True
        self.away = False

    def tell_own(self, alerts: Sequence[Alert]) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.own = alerts

    def lead(self) -> bool:
        return self.leads

    def tidy(self, now: datetime) -> None:
        pass

    def open(self) -> dict[AlertKind, OpenKind]:
        open_now = {kind: alerts for kind, alerts in self.alerts.items() if alerts}
        return {kind: OpenKind(alerts, EPOCH, self.newest.get(kind, EPOCH)) for kind, alerts in open_now.items()}

    def examples(self, kind: AlertKind) -> list[Example]:
        return [Example(f"order {n}", "in doubt", EPOCH) for n in range(min(self.alerts[kind], 5))]

    def told(self) -> dict[AlertKind, Told]:
        return dict(self.notices)

    def write_told(self, kind: AlertKind, told: Told) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self.notices[kind] = told


class Receiver:
    """Takes what is posted. `failing`: nothing arrives; `deaf`: it arrives, and the answer is lost."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.failing = self.deaf = False
        self.tried_at: list[float] = []
        self.arrived: list[tuple[float, dict[str, Any]]] = []
        self._loop = loop

    async def post(self, body: bytes) -> bool:
        self.tried_at.append(self._loop.time())
        if self.failing:
            return False
        self.arrived.append((self._loop.time(), msgspec.json.decode(body)))
        return not self.deaf

    async def close(self) -> None:
        pass

    @property
    def ids(self) -> list[str]:
        return [notice["id"] for _, notice in self.arrived]

    def last(self, kind: AlertKind) -> dict[str, Any] | None:
        return next((notice for _, notice in reversed(self.arrived) if notice["kind"] == kind), None)


class Scene:
    """A board and a receiver, and processes that tell the one of the other."""

    def __init__(self, loop: VirtualLoop, pause_s: float = ALERT_PAUSE_S) -> None:
        self.pause_s = pause_s
        self.loop, self.board, self.receiver = loop, Board(), Receiver(loop)
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    def start(self) -> None:
        notices = AlertNotices(
            board=self.board,
            own=lambda: (),
            webhook=self.receiver,
            clock=Clock(self.loop.time, self.loop.utc),
            threads=InlineExecutor(),
            random=Random(1),
            pause_s=self.pause_s,
        )
        self._task = self.loop.create_task(notices.run(self._stop))

    async def kill(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def stop(self) -> None:
        assert self._task is not None
        self._stop.set()
        await self._task


def telling(test: Callable[[Scene], Coroutine[Any, Any, None]], **how: float) -> list[structlog.typing.EventDict]:
    """Runs the test; the log lines."""

    async def main(loop: VirtualLoop) -> None:
        scene = Scene(loop, **how)
        scene.start()
        await test(scene)
        await scene.stop()

    with structlog.testing.capture_logs() as lines:
        run_virtually(main)
    return lines
