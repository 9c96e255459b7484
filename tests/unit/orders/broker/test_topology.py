"""The messages and queues of adapter work in RabbitMQ."""

from uuid import UUID

import pytest

from orders.broker.bounds import MAX_HINTS
from orders.broker.errors import UndecodableWork
from orders.broker.topology import (
    DEAD_EXCHANGE,
    WORK_EXCHANGE,
    WORK_QUEUES,
    Hint,
    WorkMessage,
    decode_work,
    encode_work,
    message_id,
    work_messages,
)
from orders.domain.events import AnyEvent
from orders.eventstore.port import Recorded
from orders.shards import SHARDS
from tests.support.order_events import (
    accepted,
    cancel_requested,
    executed,
    failed,
    placed,
    replace_requested,
    resolved,
    resumed,
    started,
)


def log_of(*events: tuple[int, AnyEvent], after: int = 0) -> list[Recorded]:
    """Each with the number of its order, which is also its shard."""
    return [Recorded(position, UUID(int=order), 1, event) for position, (order, event) in enumerate(events, after + 1)]


def test_only_what_an_order_newly_has_to_do_at_the_exchange_makes_a_hint() -> None:
    begin = [placed(), cancel_requested(), replace_requested(), resumed(), resolved(placed=True)]
    others = [started(), failed(), accepted(), executed("F-1")]
    log = log_of(*((n % SHARDS, event) for n, event in enumerate(begin + others)))
    hints = [hint for _, message in work_messages(log) for hint in message.hints]
    assert [hint.position for hint in hints] == [1, 2, 3, 4, 5]


def test_orders_of_one_shard_share_a_message_and_each_stands_in_it_once_by_its_latest_position() -> None:
    log = log_of((1, placed()), (1 + SHARDS, placed()), (2, placed()), (1, cancel_requested()), after=10)
    assert dict(work_messages(log)) == {
        1: WorkMessage(1, (Hint(UUID(int=1 + SHARDS), 12), Hint(UUID(int=1), 14))),
        2: WorkMessage(1, (Hint(UUID(int=2), 13),)),
    }


def test_a_message_has_a_bound() -> None:
    log = log_of(*((SHARDS * n, placed()) for n in range(MAX_HINTS + 1)))
    messages = list(work_messages(log))
    assert [(shard, len(message.hints)) for shard, message in messages] == [(0, MAX_HINTS), (0, 1)]
    assert [message_id(shard, message) for shard, message in messages] == [f"0:1-{MAX_HINTS}", "0:501-501"]


def test_a_message_is_what_it_was_after_the_way_through_the_broker() -> None:
    message = WorkMessage(1, (Hint(UUID(int=7), 41), Hint(UUID(int=7 + SHARDS), 42)))
    assert decode_work(encode_work(message)) == message
    body = b'{"v":1,"hints":[["00000000-0000-0000-0000-000000000007",41]]}'
    assert decode_work(body) == WorkMessage(1, (Hint(UUID(int=7), 41),))
    assert encode_work(decode_work(body)) == body, "as other releases have stored it"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"work",
        b"{}",
        b'{"v":1,"\xff":1}',
        b'{"v":2,"hints":[["00000000-0000-0000-0000-000000000007",41]]}',
        b'{"v":1,"hints":[]}',
        b'{"v":1,"hints":[["7",41]]}',
        b'{"v":1,"hints":[["00000000-0000-0000-0000-000000000007"]]}',
        b'{"v":1,"hints":[["00000000-0000-0000-0000-000000000007",41]],"more":1}',
        encode_work(WorkMessage(1, tuple(Hint(UUID(int=n), n) for n in range(MAX_HINTS + 1)))),
    ],
)
def test_what_is_no_work_message_is_refused(body: bytes) -> None:
    with pytest.raises(UndecodableWork):
        decode_work(body)


def test_each_shard_has_a_queue_from_which_nothing_but_what_is_rejected_becomes_a_dead_letter() -> None:
    assert len(WORK_QUEUES) == SHARDS
    for shard, queue in enumerate(WORK_QUEUES):
        assert (queue.name, queue.exchange, queue.routing_key) == (f"orders.work.{shard}", WORK_EXCHANGE, str(shard))
        assert queue.arguments["x-queue-type"] == "quorum"
        assert queue.arguments["x-dead-letter-exchange"] == DEAD_EXCHANGE
        assert queue.arguments["x-overflow"] == "reject-publish"
        assert queue.arguments["x-max-length-bytes"] * SHARDS <= 256_000_000, "and not the broker's disk"
        assert "x-message-ttl" not in queue.arguments
