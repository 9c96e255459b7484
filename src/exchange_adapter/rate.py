"""How often the venue is called: a token bucket, shared by the adapters of a venue as they share its orders.

A turn takes its token before it claims anything, so that an order that waits for one costs no event, no thread and no
seat. The calls themselves go through a second bucket of the same size just before they begin: claims take unequal
times, and what was let in evenly must not reach the venue all at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from exchange_adapter.bounds import BURST_S, SHORTEST_WAIT_S
from orders.shards import SHARDS
from orders.token_bucket import Bucket


class CallRate:
    """For one event loop. `per_s`: calls a second that the venue allows to all adapters together; None: any number.

    Each adapter has its share by the shards that it owns, and a burst of its own: BURST_S' worth, at least one call.
    """

    def __init__(self, per_s: float | None, monotonic: Callable[[], float]) -> None:
        self._per_s = per_s
        self._monotonic = monotonic
        self._line = asyncio.Lock()
        self._buckets: tuple[Bucket, Bucket] | None = None
        if per_s is not None:
            self._buckets = (Bucket(*_share(per_s, SHARDS), monotonic()), Bucket(*_share(per_s, SHARDS), monotonic()))

    def own(self, shards: int) -> None:
        """So many of the shards are ours. With none, nothing is left to be called but what is under way."""
        if self._per_s is not None and self._buckets is not None and shards > 0:
            for bucket in self._buckets:
                bucket.resize(*_share(self._per_s, shards), self._monotonic())

    def ready_at(self) -> float:
        """From when the next turn may take its token, on the monotonic clock; in the past where it may now."""
        return self._buckets[0].ready_at() if self._buckets is not None else 0.0

    def take(self) -> None:
        """The token of a turn that begins, or of a further call in it: then the next turn waits the longer."""
        if self._buckets is not None:
            self._buckets[0].spend(self._monotonic())

    def give_back(self) -> None:
        """The token of a turn that has made no call."""
        if self._buckets is not None:
            self._buckets[0].give_back()

    async def wait_to_call(self) -> None:
        """Ends when the venue may be called, first come, first served; at once where nothing limits it."""
        if self._buckets is None:
            return
        starts = self._buckets[1]
        async with self._line:
            while (wait_s := starts.ready_at() - self._monotonic()) > 0:
                await asyncio.sleep(max(wait_s, SHORTEST_WAIT_S))
            starts.spend(self._monotonic())


def _share(per_s: float, shards: int) -> tuple[float, float]:
    ours = per_s * shards / SHARDS
    return ours, max(1.0, ours * BURST_S)
