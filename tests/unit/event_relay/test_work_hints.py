"""What a relay tells adapters of a part of the log."""

from uuid import UUID

from event_relay.work_hints import WorkHints
from orders.broker.topology import Hint, decode_work
from orders.eventstore.port import Recorded
from orders.shards import SHARDS
from tests.support.order_events import placed, started


def log_of(*events: Recorded) -> list[Recorded]:
    return list(events)


def test_the_orders_of_a_shard_travel_together_under_its_number() -> None:
    batch = [Recorded(n, UUID(int=n * SHARDS + 5), 1, placed()) for n in (1, 2)]
    batch += [Recorded(3, UUID(int=6), 1, placed()), Recorded(4, UUID(int=6), 2, started())]
    fifth, sixth = WorkHints(lambda: 4, batch_events=100)(batch)
    assert (fifth.routing_key, fifth.message_id) == ("5", "5:1-2")
    assert decode_work(fifth.body).hints == (Hint(UUID(int=SHARDS + 5), 1), Hint(UUID(int=2 * SHARDS + 5), 2))
    assert (sixth.routing_key, sixth.message_id) == ("6", "6:3-3")


def test_hints_of_long_ago_are_left_out_so_that_new_orders_need_not_wait_behind_them() -> None:
    heads = [1_002, 1_001]
    hints = WorkHints(heads.pop, batch_events=2, stale_events=1_000)
    full = [Recorded(n, UUID(int=n), 1, placed()) for n in (1, 2)]
    assert len(hints(full)) == 2, "999 events are behind it"
    assert len(hints(full)) == 2, "1,000"
    heads.append(1_003)
    assert hints(full) == []
    assert len(hints(full[:1])) == 1, "what is live is not compared with the log's end"
