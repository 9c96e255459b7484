"""Appends that wait for their commit: who waits, until when, and how the results reach them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from orders.eventstore.port import Appended, Conflict, EncodedUnit, EventStoreError

Result = Appended | Conflict
Outcome = list[Result] | EventStoreError
Waiter = Future[Any] | asyncio.Future[Any]


class Pending:
    """Units that one caller waits for: one unit, or `whole` (several, in a commit of their own)."""

    __slots__ = ("deadline", "size_bytes", "units", "waiter", "whole")

    def __init__(self, units: tuple[EncodedUnit, ...], waiter: Waiter, deadline: float, *, whole: bool) -> None:
        self.units = units
        self.waiter = waiter
        self.deadline = deadline
        self.whole = whole
        self.size_bytes = sum(unit.size_bytes for unit in units)

    def begin(self) -> bool:
        """Whether the caller still wants it; from here on it cannot cancel it any more."""
        return not isinstance(self.waiter, Future) or self.waiter.set_running_or_notify_cancel()

    def expired(self) -> bool:
        return time.monotonic() >= self.deadline


def decided(earlier: EncodedUnit, result: Result, later: EncodedUnit) -> Result | None:
    """What becomes of a later unit of the same stream, where the earlier one's result decides it; else None."""
    if later.expected_version == earlier.expected_version:
        if isinstance(result, Appended) and later.states != earlier.states:
            return Conflict(later.stream_id)
        return result
    if isinstance(result, Appended) and later.expected_version < earlier.expected_version + len(earlier.states):
        return Conflict(later.stream_id)
    return None


def split(units: Sequence[EncodedUnit]) -> tuple[tuple[EncodedUnit, ...], dict[int, EncodedUnit]]:
    """The first unit of each stream, and by its index each later one.

    Raises ValueError where a later one would have to follow the earlier one: they are not one commit's.
    """
    first: dict[Any, EncodedUnit] = {}
    later: dict[int, EncodedUnit] = {}
    for index, unit in enumerate(units):
        earlier = first.setdefault(unit.stream_id, unit)
        if earlier is unit:
            continue
        if unit.expected_version > earlier.expected_version:
            raise ValueError(f"two units of stream {unit.stream_id} in one commit, the second after the first")
        later[index] = unit
    return tuple(first.values()), later


def join(
    count: int, first: tuple[EncodedUnit, ...], later: dict[int, EncodedUnit], results: list[Result]
) -> list[Result]:
    """The results of all `count` units that `split` took apart, in their order."""
    if not later:
        return results
    by_stream = {unit.stream_id: (unit, result) for unit, result in zip(first, results, strict=True)}
    ordered = iter(results)
    joined: list[Result] = []
    for index in range(count):
        unit = later.get(index)
        if unit is None:
            joined.append(next(ordered))
        else:
            joined.append(decided(*by_stream[unit.stream_id], unit) or Conflict(unit.stream_id))
    return joined


def settle(outcomes: Iterable[tuple[Pending, Outcome]]) -> None:
    """Hands each outcome to who waits for it; each event loop is woken once."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Waiter, Any]]] = {}
    for pending, outcome in outcomes:
        told = outcome[0] if isinstance(outcome, list) and not pending.whole else outcome
        if isinstance(pending.waiter, Future):
            _tell([(pending.waiter, told)])
        else:
            loops.setdefault(pending.waiter.get_loop(), []).append((pending.waiter, told))
    for loop, told_all in loops.items():
        try:
            loop.call_soon_threadsafe(_tell, told_all)
        except RuntimeError:  # the loop is closed: nobody waits any more
            continue


def _tell(told: list[tuple[Waiter, Any]]) -> None:
    for waiter, outcome in told:
        if waiter.done():  # given up meanwhile
            continue
        if isinstance(outcome, EventStoreError):
            waiter.set_exception(type(outcome)(*outcome.args))  # one each: raising adds to an exception's traceback
        else:
            waiter.set_result(outcome)
