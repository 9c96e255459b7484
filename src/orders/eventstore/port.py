"""What every event store promises.

- A unit is one command's events of one stream; it is written whole or not at all.
- Positions are 1..N without a hole, in commit order: a reader that has N has everything up to N.
- Versions of a stream are 1..n without a hole. A unit whose first version exists, or whose expected version does not
  (its reader saw what a failover has lost), is a conflict and writes nothing; the other units of the same call are
  written all the same.
- Nothing is ever changed or removed.

    EventStoreError
    ├── StoreUnavailable      the store cannot be reached or does not answer in time; nothing is known to be written
    │   └── CommitUnknown     it may or may not be written: the time allowed ended before that could be settled
    ├── StoreOverloaded       too many appends wait; nothing was written
    ├── StoreClosed           the store drains or is closed; nothing was written
    ├── UnknownEvent          a stored event whose name and schema version this release does not know
    ├── TooLarge              what exceeds one commit's bounds; nothing was written
    └── BrokenLog             a position is missing: an event was lost, or someone wrote past the append function
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from orders.bounds import APPEND_TIMEOUT_S, MAX_APPEND_BYTES
from orders.domain.events import AnyEvent


class EventStoreError(Exception):
    pass


class StoreUnavailable(EventStoreError):
    pass


class CommitUnknown(StoreUnavailable):
    pass


class StoreOverloaded(EventStoreError):
    pass


class StoreClosed(EventStoreError):
    pass


class UnknownEvent(EventStoreError):
    pass


class TooLarge(EventStoreError):
    pass


class BrokenLog(EventStoreError):
    pass


AWAY = (StoreUnavailable, StoreOverloaded, StoreClosed)
"""What says nothing about the order or the event: the same may well go another time."""


class Unit(msgspec.Struct, frozen=True, gc=False):
    """Events to append to a stream that the caller has read up to `expected_version` (0: a new stream)."""

    stream_id: UUID
    expected_version: int
    events: tuple[AnyEvent, ...]


class EncodedUnit(msgspec.Struct, frozen=True, gc=False):
    """A unit as it is stored (`codec.encode_unit`); `size_bytes` is what it takes of a commit's bound."""

    stream_id: UUID
    expected_version: int
    topics: tuple[str, ...]
    states: tuple[bytes, ...]
    size_bytes: int


class Appended(msgspec.Struct, frozen=True, gc=False):
    """`position` is the first event's; the others follow it without a hole."""

    position: int
    last_position: int


class Conflict(msgspec.Struct, frozen=True):
    """The stream is not where the caller thought: read it again and decide again."""

    stream_id: UUID


class Recorded(msgspec.Struct, frozen=True, gc=False):
    position: int
    stream_id: UUID
    version: int
    event: AnyEvent


class EventStore(Protocol):
    """The blocking port. Thread-safe. Every call ends within the bounds of `orders.bounds`, or raises an
    `EventStoreError`."""

    def append(self, units: Sequence[Unit]) -> list[Appended | Conflict]:
        """Writes the units in one commit, in order; one result a unit. At most one unit of a stream a call.

        Raises: StoreUnavailable, CommitUnknown, StoreClosed, TooLarge; ValueError for two units of a stream, or a unit
        without events.
        """
        ...

    def append_encoded(
        self, units: Sequence[EncodedUnit], *, timeout_s: float = APPEND_TIMEOUT_S
    ) -> list[Appended | Conflict]:
        """`append` of units that are encoded already. Ends within `timeout_s`, ambiguous commits included."""
        ...

    def read_stream(self, stream_id: UUID, *, after_version: int = 0, limit: int | None = None) -> list[Recorded]:
        """The stream's events after a version, in order; empty where there are none. At most `limit`, or else
        MAX_STREAM_READ."""
        ...

    def read_last(self, stream_id: UUID, *, as_of_position: int | None = None) -> Recorded | None:
        """The stream's last event (up to a position of the log); None where there is none."""
        ...

    def read_log(self, *, after: int, limit: int) -> list[Recorded]:
        """All events after a position, in order."""
        ...

    def head(self) -> int:
        """The last position; 0 where the log is empty."""
        ...

    def close(self) -> None:
        """Ends what the store holds open; later calls raise StoreClosed. It may be called again."""
        ...


def check_units(units: Sequence[EncodedUnit]) -> None:
    """What every store refuses. Raises ValueError, TooLarge."""
    if any(not unit.states or unit.expected_version < 0 for unit in units):
        raise ValueError("a unit has at least one event, and expects version 0 or later")
    if len({unit.stream_id for unit in units}) < len(units):
        raise ValueError("a call takes at most one unit of a stream")
    size_bytes = sum(unit.size_bytes for unit in units)
    if size_bytes > MAX_APPEND_BYTES:
        raise TooLarge(f"{size_bytes} bytes in one append, at most {MAX_APPEND_BYTES}")
