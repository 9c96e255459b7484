"""The rate at which a venue is called: in no window more than it allows, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_adapter.bounds import BURST_S
from exchange_adapter.venue import Found, NotFound, Placed, Refused, VenueState
from orders.domain.values import Delivery
from orders.shards import SHARDS
from orders.token_bucket import Bucket
from tests.support.adapter_floor import FULL, PLAIN, Floor, Later, on_floor, resting
from tests.support.virtual_time import pass_time

RATES = st.floats(0.1, 2_000.0)
BURSTS = st.floats(1.0, 100.0)
PAUSES = st.lists(st.floats(0.0, 5.0), min_size=1, max_size=60)
HALF = SHARDS // 2
ROUNDING = 1e-6


def burst_of(per_s: float) -> float:
    return max(1.0, per_s * BURST_S)


def check_every_window(at: Sequence[float], per_s: float, burst: float) -> None:
    """From each call to each later one no more than the rate lets through: so in any window."""
    for first, start in enumerate(at):
        for last in range(first, len(at)):
            assert last - first + 1 <= burst + per_s * (at[last] - start) + ROUNDING, (first, last, start, at[last])


def spend_all(bucket: Bucket, now: float, most: int) -> int:
    spent = 0
    while spent < most and bucket.ready_at() <= now:
        bucket.spend(now)
        spent += 1
    return spent


@given(per_s=RATES, burst=BURSTS, pauses=PAUSES)
def test_in_any_window_no_more_is_spent_than_the_rate_and_one_burst(
    per_s: float, burst: float, pauses: list[float]
) -> None:
    bucket, now, at = Bucket(per_s, burst, 0.0), 0.0, list[float]()
    for pause_s in pauses:
        now += pause_s
        at += [now] * spend_all(bucket, now, most=150 // len(pauses) + 2)
    check_every_window(at, per_s, burst)


@given(per_s=RATES, burst=BURSTS)
def test_who_waits_for_each_token_gets_the_whole_rate(per_s: float, burst: float) -> None:
    bucket, now = Bucket(per_s, burst, 0.0), 0.0
    for _ in range(100):
        now = max(now, bucket.ready_at())
        bucket.spend(now)
    assert now == pytest.approx(100 / per_s)


def test_it_begins_empty_so_that_a_process_which_starts_again_and_again_calls_no_more_often() -> None:
    assert Bucket(10.0, 5.0, 100.0).ready_at() == pytest.approx(100.1)


def test_a_token_given_back_is_there_at_once_and_one_owed_is_waited_for() -> None:
    bucket = Bucket(10.0, 1.0, 0.0)
    bucket.spend(0.1)
    bucket.give_back()
    assert bucket.ready_at() <= 0.1 + ROUNDING
    bucket.spend(0.1)
    bucket.spend(0.1)
    assert bucket.ready_at() == pytest.approx(0.3)


@given(per_s=RATES, moves=st.lists(st.tuples(st.floats(0.0, 2.0), st.integers(1, SHARDS - 1)), min_size=1, max_size=40))
def test_two_that_pass_shards_to_one_another_keep_to_the_rate_together(
    per_s: float, moves: list[tuple[float, int]]
) -> None:
    def share(shards: int) -> tuple[float, float]:
        return per_s * shards / SHARDS, burst_of(per_s * shards / SHARDS)

    two, now, at = [Bucket(*share(HALF), 0.0) for _ in range(2)], 0.0, list[float]()
    for pause_s, shards in moves:
        now += pause_s
        for bucket, owned in zip(two, (shards, SHARDS - shards), strict=True):
            bucket.resize(*share(owned), now)
            at += [now] * spend_all(bucket, now, most=6)
    check_every_window(at, per_s, per_s * BURST_S + 2)


@settings(max_examples=25)
@given(
    per_s=st.sampled_from([0.5, 3.0, 20.0, 400.0]),
    append_s=st.lists(st.floats(0.0, 1.5), min_size=1, max_size=8),
    answer_s=st.floats(0.0, 2.0),
)
def test_whatever_claims_and_answers_take_calls_keep_to_the_rate(
    per_s: float, append_s: list[float], answer_s: float
) -> None:
    async def test(floor: Floor) -> None:
        floor.calls_per_s = per_s
        floor.venue.will("submit", *[Later(answer_s, Placed("V"))] * 60)
        floor.client.place(60)
        process = floor.start()
        for delay_s in append_s:
            floor.appender.delay_s = delay_s
            await pass_time(0.7)
        await process.stop()
        check_every_window([called.at for called in floor.venue.calls], per_s, burst_of(per_s))

    on_floor(test, PLAIN)


def test_orders_go_out_oldest_first_at_the_rate_and_nothing_is_written_for_those_that_wait() -> None:
    async def test(floor: Floor) -> None:
        floor.calls_per_s = 5.0
        order_ids = floor.client.place(100)
        process = floor.start()
        await pass_time(10.05)
        assert [called.order_id for called in floor.venue.calls] == order_ids[:50]
        waiting = [floor.order(order_id) for order_id in order_ids[50:]]
        assert {order.version for order in waiting} == {1}
        assert (process.calls.busy, process.dispatcher.running) == (0, 0), "who waits takes no seat"
        await pass_time(10)
        assert len(floor.venue.calls) == 100
        assert all(floor.order(order_id).failures == 0 for order_id in order_ids)

    on_floor(test, PLAIN)


def test_a_slow_log_does_not_make_the_venue_idle() -> None:
    async def test(floor: Floor) -> None:
        floor.calls_per_s, floor.appender.delay_s = 8.0, 0.2
        floor.client.place(100)
        floor.start()
        await pass_time(10)
        assert len(floor.venue.calls) >= 0.95 * 80

    on_floor(test, PLAIN)


def test_what_needs_no_venue_does_not_wait_for_a_token() -> None:
    async def test(floor: Floor) -> None:
        (crashed,) = floor.client.place()
        floor.venue.will("submit", Later(60.0, Placed("V")))
        process = floor.start()
        await pass_time(1)
        await process.crash()
        floor.calls_per_s = 0.1
        floor.start()
        await pass_time(0.1)
        assert floor.order(crashed).delivery is Delivery.IN_DOUBT

    on_floor(test, PLAIN)


def test_a_turn_without_a_call_gives_its_token_back() -> None:
    async def test(floor: Floor) -> None:
        floor.calls_per_s = 1.0
        floor.client.place()
        floor.start()
        floor.start()  # believes that it owns the same shards, and loses the claim
        await pass_time(1.1)
        assert len(floor.venue.calls) == 1
        floor.client.place()
        await pass_time(0.6)
        assert len(floor.venue.calls) == 2

    on_floor(test, PLAIN)


def test_every_call_counts_also_the_question_after_a_refusal() -> None:
    async def test(floor: Floor) -> None:
        floor.calls_per_s = 2.0
        (order_id,) = floor.client.place(limit_price="1.10000")
        floor.start()
        await pass_time(1)
        floor.venue.will("cancel", Refused("closed"))
        floor.venue.will("query", Found(state=VenueState.WORKING), NotFound())
        floor.client.cancel(order_id)
        floor.client.place(4)
        claimed_for: list[timedelta] = []
        floor.venue.on_call = lambda called: claimed_for.append(
            floor.loop.utc() - floor.order(called.order_id).updated_at
        )
        await pass_time(5)
        assert claimed_for[2:] == [timedelta()] * 4, "the question delays the next claim, not the call after it"
        assert sorted(called.method for called in floor.venue.calls) == ["cancel", "query", *["submit"] * 5]
        pauses = [later.at - earlier.at for earlier, later in pairwise(floor.venue.calls)]
        assert all(pause_s >= 0.5 - ROUNDING for pause_s in pauses)
        assert floor.history(order_id)[-1] == "CancelRejected"

    on_floor(test)


def test_adapters_share_the_rate_by_the_shards_they_own() -> None:
    async def test(floor: Floor) -> None:
        floor.calls_per_s = 8.0
        order_ids = floor.client.place(400)
        few = range(HALF // 2)
        floor.start(few)
        floor.start(range(HALF // 2, SHARDS))
        await pass_time(20)
        called = [called.order_id for called in floor.venue.calls]
        by_the_few = sum(order_id.int % SHARDS in few for order_id in called)
        assert len(order_ids) > len(called) >= 156
        assert by_the_few in (39, 40)

    on_floor(test, PLAIN)


def test_without_a_limit_nothing_waits() -> None:
    async def test(floor: Floor) -> None:
        await resting(floor)
        floor.client.place(400)
        await pass_time(0.001)
        assert len(floor.venue.calls) == 401

    on_floor(test, FULL)
