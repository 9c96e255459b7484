"""Alerts of what only this process knows: its conditions, and contradictions that leave no event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import islice
from uuid import UUID

from msgspec.structs import replace

from exchange_adapter.alerts import Alert, AlertKind, Name, ends_quietly, plain
from exchange_adapter.bounds import MAX_NOTED_ALERTS
from exchange_adapter.breaker import Breaker
from exchange_adapter.call_pool import Calls
from orders.follower import Follower

Note = Callable[[AlertKind, UUID, str], None]
"""Takes note of a contradiction: its kind, the order, and what to tell of it."""


def unheard(kind: AlertKind, order_id: UUID, detail: str) -> None:
    """Where nobody is to be told."""


Condition = Callable[[], str | None]
"""What is wrong just now, or None."""


def breaker_open(breaker: Breaker) -> Condition:
    return lambda: "no calls but a probe now and then" if breaker.is_open else None


def calls_hang(calls: Calls) -> Condition:
    return lambda: f"{calls.lost} of {calls.limit} calls are past their timeout" if calls.lost else None


def duties_stalled(follower: Follower) -> Condition:
    """Not where another process has taken over: this one stands by then, and its failure is of no account."""

    def stalled() -> str | None:
        failure, stands_by = follower.failure, follower.backend_pid is not None and follower.checkpoint is None
        return None if failure is None or stands_by else f"at position {failure.position}: {failure.reason}"

    return stalled


Held = Callable[[], Iterable[tuple[UUID, str]]]
"""Orders that wait for a person just now though the log does not tell, and why."""


class ProcessAlerts:
    """For the loop's own thread. Each of `conditions`, and `held`, is asked at each look."""

    def __init__(
        self,
        worker: str,
        conditions: Mapping[AlertKind, Condition],
        utc: Callable[[], datetime],
        held: Held = tuple,
    ) -> None:
        self._worker = worker
        self._conditions = conditions
        self._held = held
        self._orders: dict[UUID, Alert] = {}
        self._utc = utc
        self._standing: dict[AlertKind, Alert] = {}
        self._noted: dict[Name, Alert] = {}

    def note(self, kind: AlertKind, order_id: UUID, detail: str) -> None:
        alert = self._alert(kind, str(order_id), detail)
        if (known := self._noted.pop(alert.name, None)) is not None:
            alert = replace(known, last_at=alert.last_at, times=known.times + 1, detail=alert.detail)
        self._noted[alert.name] = alert  # the one noted last stands last
        if len(self._noted) > MAX_NOTED_ALERTS:
            del self._noted[next(iter(self._noted))]

    def look(self) -> list[Alert]:
        """All that are open."""
        for kind, condition in self._conditions.items():
            detail = condition()
            if detail is None:
                self._standing.pop(kind, None)
            elif (known := self._standing.get(kind)) is None:
                self._standing[kind] = self._alert(kind, self._worker, detail)
            else:
                self._standing[kind] = replace(known, detail=plain(detail))
        self._orders = {
            order_id: self._orders.get(order_id) or self._alert(AlertKind.ORDER_HELD, str(order_id), reason)
            for order_id, reason in islice(self._held(), MAX_NOTED_ALERTS)
        }
        now = self._utc()
        self._noted = {name: alert for name, alert in self._noted.items() if not ends_quietly(alert, now)}
        return [*self._standing.values(), *self._orders.values(), *self._noted.values()]

    def _alert(self, kind: AlertKind, key: str, detail: str) -> Alert:
        now = self._utc()
        return Alert(kind=kind, key=key, opened_at=now, last_at=now, detail=plain(detail), worker=self._worker)
