"""The shards over which orders are spread, for whoever works on them in parts: adapter processes, and broker queues."""

from __future__ import annotations

from uuid import UUID

SHARDS = 64  # owned one by one: enough for a dozen adapters to share evenly; names of stored things, so fixed for ever


def shard_of(order_id: UUID) -> int:
    """Stable for ever: the same in every process and release. The last bits are random in UUIDv5 and v7."""
    return order_id.int % SHARDS
