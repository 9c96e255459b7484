"""What happened to events whose bytes are not those that the hash chain knows: a pure function of digests.

A digest leaves the position out, so an event that stands elsewhere is recognized there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from msgspec import Struct

from orders.log_check.finding import LogFinding


class Stored(Struct, frozen=True):
    """An event of the log, by its digest."""

    position: int
    order_id: UUID
    version: int
    digest: bytes


class Mismatch(Struct, frozen=True):
    """A position where the log does not hold what the chain knows; nothing at all, where `stored` is None."""

    position: int
    known: bytes
    stored: Stored | None


def explain(mismatches: Sequence[Mismatch], *, head: int) -> list[LogFinding]:
    """The findings by position. `mismatches` are in order of position; `head` is the last position of the log."""
    at = {one.position: one for one in mismatches}
    known = {one.known: one.position for one in mismatches}
    there = {one.stored.digest for one in mismatches if one.stored is not None}
    # By position: where the chain knew the event that stands there now.
    origin = {one.position: known[one.stored.digest] for one in mismatches if one.stored and one.stored.digest in known}
    swapped = {position for position, source in origin.items() if origin.get(source) == position}
    gone = [one for one in mismatches if one.known not in there]
    changed = {one.position for one in gone if one.stored is not None and one.position not in origin}
    findings = [
        *(_swapped(at[position], at[origin[position]]) for position in swapped if position < origin[position]),
        *(_changed(at[position]) for position in changed),
        *_removed([one for one in gone if one.position not in changed], head),
        *_moved({position: source for position, source in origin.items() if position not in swapped}),
        *(
            _inserted(one)
            for one in mismatches
            if one.stored is not None and one.position not in origin and one.position not in changed
        ),
    ]
    return sorted(findings, key=lambda finding: finding.position)


def _name(stored: Stored) -> str:
    return f"order {stored.order_id}, version {stored.version}"


def _changed(one: Mismatch) -> LogFinding:
    assert one.stored is not None
    return LogFinding(
        what="changed_event",
        text=f"position {one.position}: the event was changed ({_name(one.stored)})",
        position=one.position,
        order_id=one.stored.order_id,
        version=one.stored.version,
        stored=one.stored.digest.hex(),
        expected=one.known.hex(),
    )


def _swapped(one: Mismatch, other: Mismatch) -> LogFinding:
    assert one.stored is not None
    assert other.stored is not None
    names = f"{_name(one.stored)}, and {_name(other.stored)}"
    return LogFinding(
        what="swapped_events",
        text=f"positions {one.position} and {other.position} are swapped: {names}",
        position=one.position,
        last_position=other.position,
        order_id=one.stored.order_id,
        version=one.stored.version,
    )


def _inserted(one: Mismatch) -> LogFinding:
    assert one.stored is not None
    return LogFinding(
        what="inserted_event",
        text=f"position {one.position}: an event was inserted ({_name(one.stored)})",
        position=one.position,
        order_id=one.stored.order_id,
        version=one.stored.version,
    )


def _removed(gone: Sequence[Mismatch], head: int) -> Iterator[LogFinding]:
    inside = [one for one in gone if one.position <= head]
    for first, last in _runs((one.position, 0) for one in inside):
        which = f"position {first}: the event is" if first == last else f"positions {first} to {last}: the events are"
        (digest,) = (one.known.hex() for one in inside if one.position == first)
        text = f"{which} gone (SHA-256 of the {'event' if first == last else 'first'}: {digest})"
        yield LogFinding(what="removed_events", text=text, position=first, last_position=last, expected=digest)
    tail = [one.position for one in gone if one.position > head]
    if tail:
        yield missing_tail(tail[0], tail[-1])


def missing_tail(first: int, last: int) -> LogFinding:
    text = f"events {first} to {last} are missing at the end"
    return LogFinding(what="missing_tail", text=text, position=first, last_position=last)


def _moved(origin: dict[int, int]) -> Iterator[LogFinding]:
    for first, last in _runs((position, source - position) for position, source in origin.items()):
        source = origin[first]
        which = f"position {first} holds" if first == last else f"positions {first} to {last} hold"
        text = f"{which} what stood {abs(source - first)} positions {'later' if source > first else 'earlier'}"
        yield LogFinding(what="moved_events", text=text, position=first, last_position=last)


def _runs(numbered: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Consecutive positions with the same mark, as first and last."""
    first = last = mark = None
    for position, its_mark in numbered:
        if last is not None and position == last + 1 and its_mark == mark:
            last = position
            continue
        if first is not None and last is not None:
            yield first, last
        first, last, mark = position, position, its_mark
    if first is not None and last is not None:
        yield first, last
