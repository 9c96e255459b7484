"""How the shards are shared out among the workers of a venue. Pure.

Nobody commands: each worker sees the same list of those who live, and moves towards its own share. The locks see to it
that a shard has one owner at most, whatever anyone believes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

from exchange_adapter.bounds import FROZEN_AFTER_BEATS

Beat = TypeVar("Beat")


def share_of(worker: str, living: Sequence[str], shards: int) -> int:
    """How many of the `shards` are the worker's among those who live, in the order in which they came.

    The shares of all add up to `shards`, and differ by one at most: the first ones have one more. One who is not on the
    list has none.
    """
    if worker not in living:
        return 0
    each, left = divmod(shards, len(living))
    return each + (living.index(worker) < left)


def surplus_of(
    held: Collection[int], share: int, *, draining: Collection[int], busy: Collection[int]
) -> frozenset[int]:
    """Which shards to give up: no more than are too many. Those that drain already come first, then those at rest."""
    too_many = max(0, len(held) - share)
    order = sorted(held, key=lambda shard: (shard not in draining, shard in busy, -shard))
    return frozenset(order[:too_many])


class Heartbeats:
    """Finds who has gone silent while its connection still stands: its process is frozen.

    Counted in beats of our own, at each of which the other's should have moved: where this process or the database
    stood still, nobody else is blamed for it.
    """

    def __init__(self, frozen_after: int = FROZEN_AFTER_BEATS) -> None:
        self._frozen_after = frozen_after
        self._silent: dict[str, tuple[object, int]] = {}

    def silent(self, beats: dict[str, Beat]) -> dict[str, Beat]:
        """Of the newest beat of each worker, as seen now, those that have not moved for too long."""
        before = self._silent
        self._silent = {
            worker: (beat, before[worker][1] + 1 if worker in before and before[worker][0] == beat else 0)
            for worker, beat in beats.items()
        }
        return {worker: beats[worker] for worker, (_, times) in self._silent.items() if times >= self._frozen_after}
