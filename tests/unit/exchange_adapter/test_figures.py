"""What an adapter process counts of itself. In virtual time."""

from __future__ import annotations

from exchange_adapter.bounds import BREAKER_OPENS_AFTER, CALL_SECONDS
from exchange_adapter.figures import Attempts
from exchange_adapter.venue import NotSent, Placed, Refused, Unknown
from tests.support.adapter_floor import PLAIN, Floor, Later, on_floor
from tests.support.virtual_time import pass_time


def test_attempts_are_counted_by_what_their_call_brought_within_its_timeout() -> None:
    async def test(floor: Floor) -> None:
        hangs = Later(60.0, Placed("V"))
        floor.venue.will("submit", Placed("V"), Refused("no"), Unknown("?"), RuntimeError("?"), NotSent("away"), hangs)
        floor.client.place(6)
        process = floor.start()
        await pass_time(20)
        assert process.submits.attempts == Attempts(placed=2, refused=1, not_sent=1, unknown=3)

    on_floor(test, PLAIN)


def test_a_call_that_was_not_made_in_time_counts_as_not_sent() -> None:
    async def test(floor: Floor) -> None:
        floor.thread_delay_s = 3.0
        floor.client.place()
        process = floor.start()
        await pass_time(3.1)
        assert process.submits.attempts == Attempts(not_sent=1)

    on_floor(test, PLAIN)


def test_a_call_runs_until_its_timeout_and_hangs_after_it() -> None:
    async def test(floor: Floor) -> None:
        floor.venue.will("submit", *[Later(60.0, Placed("V"))] * 3)
        floor.client.place(3)
        process = floor.start()
        seen = []
        for _ in range(3):
            await pass_time(4)
            seen.append((process.calls.running, process.calls.lost, process.dispatcher.running))
        assert seen == [(3, 0, 3), (3, 0, 3), (0, 3, 0)]
        assert process.window.busy_shards == frozenset(), "a call past its timeout keeps no shard"
        assert process.dispatcher.turns_ended == 3

    on_floor(test, PLAIN)


def test_what_calls_took_is_counted_and_one_past_its_timeout_counts_with_that() -> None:
    async def test(floor: Floor) -> None:
        floor.venue.will("submit", Later(0.3, Placed("V")), Later(60.0, Placed("V")))
        floor.client.place(2)
        process = floor.start()
        await pass_time(20)
        took = process.venue_calls.seconds.observed()
        by_bound = dict(zip((*CALL_SECONDS, None), took.counts, strict=True))
        assert {bound: count for bound, count in by_bound.items() if count} == {0.5: 1, 10.0: 1}

    on_floor(test, PLAIN)


def test_a_shard_is_busy_while_a_turn_runs_there_even_if_it_is_given_up() -> None:
    async def test(floor: Floor) -> None:
        floor.venue.will("submit", Later(4.0, Placed("V")))
        (order_id,) = floor.client.place()
        process = floor.start()
        await pass_time(1)
        shard = floor.duties.open[order_id].shard
        process.feeder.own(())
        assert process.window.busy_shards == {shard}
        await pass_time(4)
        assert process.window.busy_shards == frozenset()

    on_floor(test)


def test_the_breaker_tells_since_when_it_is_open() -> None:
    async def test(floor: Floor) -> None:
        floor.venue.will("submit", *[NotSent("away")] * (BREAKER_OPENS_AFTER + 3))
        floor.client.place(BREAKER_OPENS_AFTER)
        process = floor.start()
        began = floor.loop.time()
        await pass_time(1)
        opened_at = process.breaker.opened_at
        assert opened_at is not None
        assert began <= opened_at < began + 1
        await pass_time(3)
        assert process.breaker.opened_at == opened_at, "a probe that fails does not open it anew"
        await pass_time(60)
        assert process.breaker.opened_at is None

    on_floor(test)
