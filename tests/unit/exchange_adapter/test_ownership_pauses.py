"""How long a worker waits before it tries again to own shards: ever longer where the database takes no writes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from threading import Event

import psycopg
import pytest

from exchange_adapter import ownership
from exchange_adapter.bounds import DATABASE_RETRY_S
from exchange_adapter.figures import Working
from exchange_adapter.ownership import Ownership
from exchange_adapter.workers import Worker
from tests.support.shard_owners import FIGURES

ME = Worker("w-1", "v")


class Tables:
    """The list of workers in a database that takes connections, and loses each after the first beat. `writable` says
    for each beat whether it takes what is told."""

    def __init__(self, writable: Sequence[bool]) -> None:
        self.closed = True
        self._writable = iter(writable)

    def join(self) -> None:
        pass

    def tell(self, *told: object, **more: object) -> None:
        if not next(self._writable):
            raise psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction")

    def living(self) -> list[str]:
        return [ME.name]

    def execute(self, *statement: object) -> list[tuple[int]]:
        return []


class Pauses(Event):
    """A stop that is told after so many waits, and waits no time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.waited_s: list[float] = []
        self._most = most

    def wait(self, timeout: float | None = None) -> bool:
        if timeout in PAUSES:
            self.waited_s.append(timeout)
        if len(self.waited_s) == self._most:
            self.set()
        return self.is_set()


PAUSES = {min(DATABASE_RETRY_S[0] * 2**times, DATABASE_RETRY_S[1]) for times in range(10)}


def pauses(monkeypatch: pytest.MonkeyPatch, writable: Sequence[bool]) -> list[float]:
    tables = Tables(writable)
    monkeypatch.setattr(ownership, "connect", lambda *given, **more: nullcontext(tables))
    monkeypatch.setattr(ownership, "Workers", lambda connection, me: connection)
    monkeypatch.setattr(ownership, "SHARING_POLL_S", 0.07)  # none of the pauses that are looked at
    owner = Ownership(
        "", ME, on_change=lambda owned: None, working=lambda: Working(frozenset(), FIGURES), reports=False
    )
    stop = Pauses(len(writable))
    owner.run(stop)
    return stop.waited_s


def test_a_database_that_takes_connections_and_no_writes_is_tried_ever_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first_s, longest_s = DATABASE_RETRY_S
    waited_s = pauses(monkeypatch, [False] * 8)
    assert waited_s[:3] == [first_s, 2 * first_s, 4 * first_s]
    assert waited_s[-1] == longest_s


def test_where_it_worked_it_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    first_s = DATABASE_RETRY_S[0]
    assert pauses(monkeypatch, [False, False, True, False]) == [first_s, 2 * first_s, first_s, 2 * first_s]
