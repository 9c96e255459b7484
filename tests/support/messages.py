"""Work messages as the broker delivers them, without a broker."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from exchange_adapter.work.in_hand import Verdict, WorkInHand
from orders.broker.topology import WORK_VERSION, Hint, WorkMessage, encode_work
from orders.shards import shard_of


class Delivered:
    """A message that was delivered; `verdict` is what became of it, `told` how often that was said."""

    def __init__(self, shard: int, body: bytes) -> None:
        self.verdict: Verdict | None = None
        self.told = 0
        self.work = WorkInHand(shard, body, self._tell)

    def _tell(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.told += 1


def naming(*order_ids: UUID, position: int = 1, shard: int | None = None) -> Delivered:
    """`shard`: of the queue that it came by, where that is another than the first order's."""
    hints = tuple(Hint(order_id, position + place) for place, order_id in enumerate(order_ids))
    return Delivered(shard_of(order_ids[0]) if shard is None else shard, encode_work(WorkMessage(WORK_VERSION, hints)))


def of_one_shard(order_ids: Iterable[UUID], count: int) -> list[UUID]:
    """So many of them that share a shard."""
    by_shard: dict[int, list[UUID]] = {}
    for order_id in order_ids:
        found = by_shard.setdefault(shard_of(order_id), [])
        found.append(order_id)
        if len(found) == count:
            return found
    raise AssertionError(f"no {count} orders of one shard")
