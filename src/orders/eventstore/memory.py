"""The event log in memory, for fast tests and simulation: the same contract, and the same stored bytes."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from uuid import UUID

from orders.bounds import APPEND_TIMEOUT_S, MAX_STREAM_READ
from orders.eventstore import codec
from orders.eventstore.port import Appended, Conflict, EncodedUnit, Recorded, StoreClosed, Unit, check_units
from orders.eventstore.subscription import MemoryHints

_Stored = tuple[int, UUID, int, str, bytes]


class MemoryEventStore:
    """`EventStore`; `hints` are given after every append."""

    def __init__(self) -> None:
        self.hints = MemoryHints()
        self._log: list[_Stored] = []
        self._streams: dict[UUID, list[_Stored]] = {}
        self._lock = Lock()
        self._closed = False

    def append(self, units: Sequence[Unit]) -> list[Appended | Conflict]:
        return self.append_encoded([codec.encode_unit(unit) for unit in units])

    def append_encoded(
        self, units: Sequence[EncodedUnit], *, timeout_s: float = APPEND_TIMEOUT_S
    ) -> list[Appended | Conflict]:
        check_units(units)
        with self._lock:
            self._check_open()
            results = [self._append_unit(unit) for unit in units]
        self.hints.give()
        return results

    def _append_unit(self, unit: EncodedUnit) -> Appended | Conflict:
        stream = self._streams.setdefault(unit.stream_id, [])
        if len(stream) != unit.expected_version:
            return Conflict(unit.stream_id)
        first = len(self._log) + 1
        for topic, state in zip(unit.topics, unit.states, strict=True):
            stored = (len(self._log) + 1, unit.stream_id, len(stream) + 1, topic, state)
            self._log.append(stored)
            stream.append(stored)
        return Appended(first, len(self._log))

    def read_stream(self, stream_id: UUID, *, after_version: int = 0, limit: int | None = None) -> list[Recorded]:
        limit = MAX_STREAM_READ if limit is None else limit
        with self._lock:
            self._check_open()
            found = self._streams.get(stream_id, [])[after_version : after_version + limit]
        return [_recorded(stored) for stored in found]

    def read_last(self, stream_id: UUID, *, as_of_position: int | None = None) -> Recorded | None:
        with self._lock:
            self._check_open()
            stream = self._streams.get(stream_id, [])
            last = next((one for one in reversed(stream) if as_of_position is None or one[0] <= as_of_position), None)
        return None if last is None else _recorded(last)

    def read_log(self, *, after: int, limit: int) -> list[Recorded]:
        with self._lock:
            self._check_open()
            found = self._log[after : after + limit]
        return [_recorded(stored) for stored in found]

    def head(self) -> int:
        with self._lock:
            self._check_open()
            return len(self._log)

    def close(self) -> None:
        self._closed = True
        self.hints.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed")


def _recorded(stored: _Stored) -> Recorded:
    position, stream_id, version, topic, state = stored
    return Recorded(position, stream_id, version, codec.decode(topic, state))
