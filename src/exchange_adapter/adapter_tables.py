"""What the adapters' tables tell operators: duties that are held, workers, alerts, figures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from exchange_adapter.alerts import TITLES
from exchange_adapter.bounds import (
    DEFAULT_HELD_PAGE,
    MAX_ALERT_EXAMPLES,
    MAX_WORKERS_SHOWN,
    WORKER_SEEN_S,
)
from exchange_adapter.held_orders import HELD, LastTry
from exchange_adapter.work.duties import FOLLOWER
from exchange_adapter.workers import LOCK_SPACE
from orders.distribution import Observed
from orders.domain.values import Delivery
from orders.eventstore.session import Session
from orders.eventstore.sql import load

_SQL = load("exchange_adapter", "adapter_tables.sql")
_LIVING = {"space": LOCK_SPACE, "seen_s": WORKER_SEEN_S}


class HeldQuery(Struct, frozen=True, kw_only=True):
    """Filters are None where they let everything pass; `worker` is who made the last attempt; `until` leaves out orders
    that changed after this position; `after` is where the page before ended."""

    delivery: Delivery | None = None
    worker: str | None = None
    symbol: str | None = None
    order_id: UUID | None = None
    until: int | None = None
    limit: int = DEFAULT_HELD_PAGE
    after: int | None = None


class HeldRow(Struct, frozen=True):
    """`alerted`: an alert says that it is held."""

    order_id: UUID
    last: LastTry
    alerted: bool


class HeldRows(Struct, frozen=True):
    """`position` is that of the log which the table holds; `next` is where a following page begins."""

    rows: list[HeldRow]
    position: int
    next: int | None


class WorkerRow(Struct, frozen=True, kw_only=True):
    """An adapter process. It is `alive` that told of itself lately, or whose connection still holds a lock of ours;
    `age_s` is how long ago it told; `figures` are those of `figures.py`. The query `workers` has these columns."""

    worker: str
    venue: str
    alive: bool
    age_s: float
    started_at: datetime
    seen_at: datetime
    backend_pid: int
    shards: list[int]
    reads_reports: bool
    figures: dict[str, Any]


class AlertExample(Struct, frozen=True, kw_only=True):
    key: str
    detail: str
    opened_at: datetime
    last_at: datetime
    times: int
    worker: str | None


class AlertKind(Struct, frozen=True, kw_only=True):
    """The open alerts of a kind: `alerts` of them, since the first opened; the oldest are the examples."""

    kind: str
    alerts: int
    since: datetime
    last_at: datetime
    times: int
    examples: list[AlertExample]


class AdapterFigures(Struct, frozen=True, kw_only=True):
    """For /metrics: sums over the adapters that live; and by worker what each has counted since it began, which summed
    up would go back when one ends."""

    duties: Mapping[str, int]
    alerts: Mapping[str, int]
    workers: int = 0
    calls_running: int = 0
    calls_hanging: int = 0
    breakers_open: int = 0
    attempts: Mapping[str, Mapping[str, int]] = {}
    call_seconds: Mapping[str, Observed] = {}
    queues_consumed: int = 0
    messages_in_hand: int = 0
    hints: Mapping[str, int] = {}
    undecodable: Mapping[str, int] = {}


class AdapterTables:
    """Its methods raise StoreUnavailable. Statements run one after another, each within the bounds of a connection."""

    def __init__(self, database_url: str) -> None:
        self._session = Session(database_url, "orders operators")
        self._thread = ThreadPoolExecutor(1, "operators")

    async def held(self, query: HeldQuery) -> HeldRows:
        """What the table holds, which may be a little behind the log; the oldest first."""
        found = await self._rows(
            "held",
            follower=FOLLOWER,
            deliveries=[one.value for one in HELD if query.delivery in (None, one)],
            worker=query.worker,
            symbol=query.symbol,
            order_id=query.order_id,
            until=query.until,
            after=query.after or 0,
            limit=query.limit + 1,
            **_LIVING,
        )
        rows = [row[1:] for row in found if row[1] is not None]
        shown = [_held(*row[1:]) for row in rows[: query.limit]]
        return HeldRows(shown, found[0][0], rows[query.limit - 1][0] if len(rows) > query.limit else None)

    async def position(self) -> int:
        """Up to where the log is in the tables of duties and alerts."""
        ((position,),) = await self._rows("position", follower=FOLLOWER)
        return int(position)

    async def workers(self) -> list[WorkerRow]:
        rows = await self._rows("workers", limit=MAX_WORKERS_SHOWN, **_LIVING)
        return [WorkerRow(**dict(zip(WorkerRow.__struct_fields__, row, strict=True))) for row in rows]

    async def is_alive(self, worker: str) -> bool:
        return any(row.worker == worker and row.alive for row in await self.workers())

    async def alerts(self) -> list[AlertKind]:
        rows = await self._rows("alerts", examples=MAX_ALERT_EXAMPLES)
        return [_alerts(of_kind, [row[5:] for row in group]) for of_kind, group in groupby(rows, lambda row: row[:5])]

    async def figures(self) -> AdapterFigures:
        """Adapters of another release may tell less, or in another way: then these figures of theirs are left out."""
        duties = await self._rows("duties_by_delivery")
        alerts = await self._rows("alerts_by_kind")
        rows = await self._rows("live_figures", seen_s=WORKER_SEEN_S)
        by_worker: dict[str, dict[str, Any]] = {row[0]: row[1] for row in rows}
        live = list(by_worker.values())
        told = {worker: one["messages"] for worker, one in by_worker.items() if one.get("messages") is not None}
        return AdapterFigures(
            duties={**dict.fromkeys(map(str, Delivery), 0), **dict(duties)},
            alerts={**dict.fromkeys(map(str, TITLES), 0), **dict(alerts)},
            workers=len(live),
            calls_running=sum(one.get("calls_running", 0) for one in live),
            calls_hanging=sum(one.get("calls_hanging", 0) for one in live),
            breakers_open=sum(one.get("breaker_open_s") is not None for one in live),
            attempts={worker: one.get("attempts", {}) for worker, one in by_worker.items()},
            call_seconds={worker: _observed(one.get("call_seconds", {})) for worker, one in by_worker.items()},
            queues_consumed=sum(one.get("queues", 0) for one in told.values()),
            messages_in_hand=sum(one.get("in_hand", 0) for one in told.values()),
            hints={worker: one["hints"] for worker, one in told.items() if "hints" in one},
            undecodable={worker: one["undecodable"] for worker, one in told.items() if "undecodable" in one},
        )

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    async def _rows(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._thread, self._session.rows, _SQL[statement], parameters)
        return [tuple(map(_in_utc, row)) for row in rows]


def _observed(told: Any) -> Observed:
    try:
        return msgspec.convert(told, Observed)
    except msgspec.ValidationError:
        return Observed()


def _in_utc(value: Any) -> Any:
    """The session's time zone is the server's; what people see is UTC."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _held(
    order_id: UUID, worker: str | None, attempted_at: datetime | None, reason: str | None, alive: bool, alerted: bool
) -> HeldRow:
    last = LastTry(worker=worker, worker_alive=alive, attempted_at=attempted_at, reason=reason)
    return HeldRow(order_id, last, alerted)


def _alerts(of_kind: tuple[Any, ...], examples: list[tuple[Any, ...]]) -> AlertKind:
    kind, alerts, since, last_at, times = of_kind
    shown = [
        AlertExample(key=key, opened_at=opened_at, last_at=at, times=seen, worker=worker, detail=detail)
        for key, opened_at, at, seen, worker, detail in examples
    ]
    return AlertKind(kind=kind, alerts=alerts, since=since, last_at=last_at, times=times, examples=shown)
