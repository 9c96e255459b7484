"""The table of open alerts, and what was told of each kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
import psycopg
from msgspec import Struct

from exchange_adapter.alerts import CONTRADICTIONS, Alert, AlertKind, LookUp, Step, changes, key_of
from exchange_adapter.bounds import (
    ALERT_EXAMPLES,
    ALERT_QUIET_S,
    MAX_ALERT_DETAIL,
    MAX_ALERTS_COUNTED,
    MAX_ALERTS_JUDGED,
)
from exchange_adapter.policy import can_go_on
from orders.domain.values import Capabilities, Delivery
from orders.eventstore.session import Session
from orders.eventstore.sql import load

LOCK_SPACE = 0x616C7274  # "alrt": one process of all on this database tells

_SQL = load("exchange_adapter", "alerts.sql")
_KINDS = [kind.value for kind in AlertKind]  # a newer release may have written others
_COLUMNS = ("kind", "key", "opened_at", "last_at", "detail", "times", "position", "worker")

Cursor = psycopg.Cursor[Any]


class LogAlerts:
    """Keeps the alerts that follow from the log, in the transactions of the duties' follower."""

    def __init__(self, venue: Capabilities, utc: Callable[[], datetime]) -> None:
        self._venue = venue
        self._utc = utc

    def start(self, cursor: Cursor, position: int) -> None:
        """Forgets what the table of duties does not know any more, and judges its orders in doubt by what the venue can
        do now, and the operator has chosen now."""
        cursor.execute(_SQL["forget_after"], {"position": position})
        judged = {
            "kind": AlertKind.ORDER_HELD.value,
            "waits": not can_go_on(self._venue, Delivery.IN_DOUBT),
            "cancel_waits": not can_go_on(self._venue, Delivery.IN_DOUBT, cancel=True),
            "now": self._utc(),
            "length": MAX_ALERT_DETAIL,
            "limit": MAX_ALERTS_JUDGED,
        }
        cursor.execute(_SQL["judge_held"], judged)

    def apply(self, cursor: Cursor, steps: Sequence[Step], look_up: LookUp) -> None:
        keys = {key_of(step.recorded) for step in steps}
        known = {alert.name: alert for alert in map(_alert, cursor.execute(_SQL["known"], {"keys": list(keys)}))}
        before, now = dict(known), self._utc()
        for step in steps:
            for name, alert in changes(known, step, venue=self._venue, look_up=look_up, now=now).items():
                if alert is None:
                    del known[name]
                else:
                    known[name] = alert
        if written := [alert for name, alert in known.items() if before.get(name) != alert]:
            cursor.execute(_SQL["write"], _columns(written))
        if ended := [alert for name, alert in before.items() if name not in known]:
            cursor.execute(_SQL["remove"], _columns(ended))


class OpenKind(Struct, frozen=True):
    """What is open of a kind: how many, up to MAX_ALERTS_COUNTED, since the first opened, and when the newest did."""

    alerts: int
    since: datetime
    newest: datetime


class Example(Struct, frozen=True):
    key: str
    detail: str
    since: datetime


class Told(Struct, frozen=True, kw_only=True):
    """The newest notice of a kind, and when the newest alert in it opened; None where none is open. `delivered`: it has
    surely arrived, or its receiver has refused it for good."""

    number: int
    open: bool
    alerts: int
    newest: datetime | None
    told_at: datetime
    delivered: bool


class AlertBoard(Protocol):
    """For one thread at a time; raises StoreUnavailable."""

    def tell_own(self, alerts: Sequence[Alert]) -> None:
        """These, and no others, are the conditions of this process."""
        ...

    def lead(self) -> bool:
        """Whether this process is the one that tells persons; asked each time, since it ends with the connection."""
        ...

    def tidy(self, now: datetime) -> None:
        """Ends contradictions that are quiet, and the conditions of processes that are gone."""
        ...

    def open(self) -> dict[AlertKind, OpenKind]: ...

    def examples(self, kind: AlertKind) -> list[Example]: ...

    def told(self) -> dict[AlertKind, Told]: ...

    def write_told(self, kind: AlertKind, told: Told) -> None: ...


class PostgresAlertBoard:
    """`direct_url` reaches PostgreSQL without a pooler: the lock needs a session."""

    def __init__(self, direct_url: str, worker: str) -> None:
        self._worker = worker
        self._session = Session(direct_url, "orders adapter alerts")

    @property
    def backend_pid(self) -> int | None:
        """The server's number of the connection that holds the lock; None while there is none."""
        return self._session.backend_pid

    def tell_own(self, alerts: Sequence[Alert]) -> None:
        self._session.rows(_SQL["tell_own"], {**_columns(alerts), "worker": self._worker})

    def lead(self) -> bool:
        return bool(self._session.rows(_SQL["lead"], {"space": LOCK_SPACE})[0][0])

    def tidy(self, now: datetime) -> None:
        quiet_since = now - timedelta(seconds=ALERT_QUIET_S)
        kinds = [kind.value for kind in CONTRADICTIONS]
        self._session.rows(_SQL["end_quiet"], {"kinds": kinds, "quiet_since": quiet_since})
        self._session.rows(_SQL["end_gone"], {"worker": self._worker})

    def open(self) -> dict[AlertKind, OpenKind]:
        rows = self._session.rows(_SQL["open"], {"kinds": _KINDS, "limit": MAX_ALERTS_COUNTED})
        return {AlertKind(kind): OpenKind(*opened) for kind, *opened in rows}

    def examples(self, kind: AlertKind) -> list[Example]:
        oldest = self._session.rows(_SQL["examples"], {"kind": kind.value, "limit": ALERT_EXAMPLES})
        return [Example(*row) for row in oldest]

    def told(self) -> dict[AlertKind, Told]:
        names = ("number", "open", "alerts", "newest", "told_at", "delivered")
        rows = self._session.rows(_SQL["told"], {"kinds": _KINDS})
        return {AlertKind(kind): Told(**dict(zip(names, told, strict=True))) for kind, *told in rows}

    def write_told(self, kind: AlertKind, told: Told) -> None:
        self._session.rows(_SQL["write_told"], {"kind": kind.value, **msgspec.structs.asdict(told)})

    def close(self) -> None:
        self._session.close()


def _columns(alerts: Sequence[Alert]) -> dict[str, list[object]]:
    return {name: [_stored(getattr(alert, name)) for alert in alerts] for name in _COLUMNS}


def _stored(value: object) -> object:
    return value.value if isinstance(value, AlertKind) else value


def _alert(row: Any) -> Alert:
    return msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), Alert)
