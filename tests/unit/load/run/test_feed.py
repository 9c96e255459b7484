"""What a socket was told, judged: each event once, in order; and how orders fared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from load.run.feed import Audience, FeedRecord, Heard, LastWord, OrderLives
from load.run.traffic import Target

BEGAN = datetime(2026, 11, 21, tzinfo=UTC)


def heard(position: int, order: str = "a", event: str = "OrderPlaced", after_s: float = 0.0, **fields: object) -> Heard:
    known = {"status": "Placed", "delivery": "queued", "type": "market", **fields}
    return Heard(
        position=position,
        event=event,
        order_id=order,
        client_order_id=f"load-1-{order}",
        time=BEGAN + timedelta(seconds=after_s),
        **known,  # type: ignore[arg-type]
    )


def test_an_order_told_once_is_placed_and_its_last_word_stands() -> None:
    record = FeedRecord("load-1", after=5)
    assert record.take(heard(6))
    assert record.take(heard(9, event="OrderExecuted", status="Executed", filled_quantity=10))
    assert (record.placed, record.messages) == ({"a"}, 2)
    assert record.last_words == {"a": LastWord("Executed", 10)}
    assert not record.findings


@pytest.mark.parametrize("position", [6, 5, 1])
def test_a_position_that_comes_again_or_goes_back_is_a_finding(position: int) -> None:
    record = FeedRecord("load-1", after=0)
    record.take(heard(6))
    assert not record.take(heard(position, "b"))
    assert record.findings.counts == {"told twice": 1}


def test_an_order_that_is_placed_twice_at_two_positions_is_a_finding() -> None:
    record = FeedRecord("load-1", after=0)
    record.take(heard(6))
    record.take(heard(7))
    assert record.findings.counts == {"told twice": 1}


def test_orders_of_others_and_control_messages_are_left_out() -> None:
    record = FeedRecord("load-2", after=0)
    assert not record.take(heard(6))
    assert not record.take(Heard(position=7))
    assert (record.placed, record.messages, record.position) == (set(), 0, 6)


def test_an_order_is_counted_in_the_state_that_it_is_in_now() -> None:
    lives = OrderLives()
    lives.take(heard(1))
    lives.take(heard(2, "b"))
    assert (lives.waiting, lives.unfilled) == (2, 2)
    lives.take(heard(3, event="SubmitStarted", delivery="sending"))
    assert +lives.states == {"sending": 1, "queued": 1}
    lives.take(heard(4, event="OrderAccepted", delivery="acked", after_s=0.25))
    lives.take(heard(5, event="OrderExecuted", delivery="acked", status="Executed", after_s=4.0))
    assert +lives.states == {"filled": 1, "queued": 1}
    assert (lives.waiting, lives.unfilled) == (1, 1)


def test_a_parked_order_waits_for_the_exchange_and_one_that_rests_there_does_not() -> None:
    lives = OrderLives()
    lives.take(heard(1))
    lives.take(heard(2, event="PlacementParked", delivery="parked"))
    assert lives.waiting == 1
    lives.take(heard(3, event="OrderAccepted", delivery="acked"))
    assert lives.waiting == 0


def test_an_accepted_order_waits_too_while_the_socket_has_not_been_told_of_it() -> None:
    audience = Audience(Target(base_url="http://127.0.0.1:1"), sockets=2, prefix="load-", after=0, on_delay=print)
    assert audience.waiting({"a", "b"}) == 2
    hear = audience._hearing(audience.records[0], detail=True)
    hear(heard(1))
    hear(heard(2, event="OrderAccepted", delivery="acked"))
    assert audience.waiting({"a", "b"}) == 1
    hear(heard(3, "b"))
    assert audience.waiting({"a", "b"}) == 1


def test_the_time_to_the_exchange_ends_with_its_first_word_and_that_to_the_fill_with_the_whole_of_it() -> None:
    lives = OrderLives()
    lives.take(heard(1))
    lives.take(heard(2, event="OrderExecuted", delivery="acked", after_s=1.0))
    lives.take(heard(3, event="OrderAccepted", delivery="acked", after_s=2.0))
    lives.take(heard(4, event="OrderExecuted", delivery="acked", status="Executed", after_s=3.0))
    assert lives.accepted_to_placed.percentile_ms(100) == pytest.approx(1000, rel=0.002)
    assert lives.accepted_to_filled.percentile_ms(100) == pytest.approx(3000, rel=0.002)
    assert (lives.accepted_to_placed.count, lives.accepted_to_filled.count) == (1, 1)
