"""How orders are spread over shards."""

from uuid import UUID

from orders.shards import SHARDS, shard_of


def test_every_shard_gets_orders_and_an_order_always_the_same_one() -> None:
    assert {shard_of(UUID(int=n)) for n in range(SHARDS)} == set(range(SHARDS))
    assert shard_of(UUID("01a1fbec-9f01-7525-a638-93f60d6cee54")) == 0x14
