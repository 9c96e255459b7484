"""What messages of the broker set going, and when they are answered. In virtual time."""

from __future__ import annotations

from uuid import UUID

import pytest
from structlog.testing import capture_logs

from exchange_adapter.bounds import (
    DATABASE_RETRY_S,
    MESSAGES_STILL_S,
    QUEUE_PREFETCH,
    START_BOUND_S,
    SWEEP_S,
)
from exchange_adapter.venue import NotSent, Placed, Unknown
from exchange_adapter.work.in_hand import Verdict
from orders.domain import commands as c
from orders.domain.values import Capabilities, Delivery
from orders.eventstore.port import StoreUnavailable, TooLarge
from orders.shards import SHARDS, shard_of
from tests.support.adapter_floor import ALL_SHARDS, FULL, PLAIN, Floor, Later, Process, on_floor, resting
from tests.support.messages import Delivered, naming, of_one_shard
from tests.support.virtual_time import pass_time

AT_ONCE_S = 0.01


def listening(floor: Floor) -> Process:
    """An adapter that messages tell of first attempts in all shards."""
    process = floor.start()
    process.feeder.listen(dict.fromkeys(ALL_SHARDS))
    return process


def slow(floor: Floor, count: int = 1) -> None:
    floor.venue.will("submit", *[Later(1.0, Placed("V"))] * count)


def test_an_order_is_placed_as_soon_as_a_message_names_it() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place()
        await pass_time(0.5)
        assert floor.venue.calls == [], "the table alone begins no first attempt"
        message = naming(order_id)
        process.intake.deliver(message.work)
        await pass_time(AT_ONCE_S)
        assert floor.order(order_id).delivery is Delivery.ACKED
        assert (message.verdict, message.told) == (Verdict.DONE, 1)

    on_floor(test)


def test_the_message_is_done_when_the_claim_stands_and_before_the_call() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place()
        message = naming(order_id)
        floor.venue.on_call = lambda called: seen.append((message.verdict, floor.order(order_id).delivery))
        seen: list[object] = []
        floor.appender.delay_s = 0.2
        process.intake.deliver(message.work)
        await pass_time(0.1)
        assert message.verdict is None, "its claim is on the way"
        await pass_time(0.2)
        assert seen == [(Verdict.DONE, Delivery.SENDING)]

    on_floor(test)


def test_a_claim_that_is_not_written_leaves_the_message_in_hand() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place()
        message = naming(order_id)
        floor.appender.faults.append(StoreUnavailable("away"))
        process.intake.deliver(message.work)
        await pass_time(1)
        assert (message.verdict, floor.venue.calls) == (None, [])
        await pass_time(DATABASE_RETRY_S[1])
        assert (message.verdict, len(floor.venue.calls)) == (Verdict.DONE, 1)

    on_floor(test, PLAIN)


def test_a_message_is_done_once_all_its_orders_are() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        order_ids = of_one_shard(floor.client.place(300), 3)
        slow(floor, 3)
        message = naming(*order_ids)
        process.intake.deliver(message.work)
        await pass_time(1.5)
        assert (len(floor.venue.calls), message.verdict) == (2, None), "a pool of one: the second has its call"
        await pass_time(1)
        assert (len(floor.venue.calls), message.verdict) == (3, Verdict.DONE)
        assert [called.order_id for called in floor.venue.calls] == order_ids

    on_floor(test, threads=1)


def test_a_message_that_comes_twice_places_once() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place()
        slow(floor)
        messages = [naming(order_id) for _ in range(4)]
        process.intake.deliver(messages[0].work)
        process.intake.deliver(messages[1].work)
        await pass_time(0.5)
        process.intake.deliver(messages[2].work)  # while the call runs
        await pass_time(AT_ONCE_S)
        assert messages[2].verdict is Verdict.DONE, "its claim stands"
        await pass_time(1)
        process.intake.deliver(messages[3].work)
        await pass_time(AT_ONCE_S)
        assert [(message.verdict, message.told) for message in messages] == [(Verdict.DONE, 1)] * 4
        assert len(floor.venue.calls) == 1

    on_floor(test, PLAIN)


def test_a_cancel_that_a_message_names_goes_out_though_the_order_was_folded_before_it() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        second = listening(floor)
        first_look = naming(order_id)
        second.intake.deliver(first_look.work)
        await pass_time(AT_ONCE_S)
        assert first_look.verdict is Verdict.DONE, "it is at the venue, nothing is left to do"
        floor.client.cancel(order_id)
        asked = naming(order_id, position=4)
        second.intake.deliver(asked.work)
        await pass_time(AT_ONCE_S)
        assert (asked.verdict, len(floor.venue.of("cancel"))) == (Verdict.DONE, 1)

    on_floor(test)


def test_a_cancel_while_the_submit_runs_is_not_done_before_it_was_looked_at() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place(limit_price="1.10000")
        slow(floor)
        process.intake.deliver(naming(order_id).work)
        await pass_time(0.5)
        floor.client.cancel(order_id)
        asked = naming(order_id, position=3)
        process.intake.deliver(asked.work)
        await pass_time(0.2)
        assert asked.verdict is None
        await pass_time(1)
        assert (asked.verdict, len(floor.venue.of("cancel"))) == (Verdict.DONE, 1)

    on_floor(test)


@pytest.mark.parametrize("outcome", [NotSent("away"), Unknown("?")], ids=["waits for its retry", "in doubt"])
def test_what_waits_for_something_else_is_left_to_the_table(outcome: NotSent | Unknown) -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", outcome)
        first = floor.start()
        await pass_time(0.1)
        await first.stop()
        assert len(floor.venue.calls) == 1
        second = floor.start(())
        again = naming(order_id)
        second.feeder.own(ALL_SHARDS)
        second.feeder.listen(dict.fromkeys(ALL_SHARDS))
        second.intake.deliver(again.work)
        await pass_time(AT_ONCE_S)
        assert again.verdict is Verdict.DONE
        assert len(floor.venue.of("submit")) == 1

    on_floor(test, Capabilities(queries=True, late_arrival_s=30.0))


def test_a_parked_order_holds_up_no_other_of_its_message() -> None:
    async def test(floor: Floor) -> None:
        order_ids = of_one_shard(floor.client.place(300), 2)
        stamp = {"order_id": order_ids[0], "command_id": UUID(int=1), "at": floor.loop.utc(), "by": "test"}
        floor.client.give(c.ParkPlacement(**stamp, reason="r"))
        process = listening(floor)
        message = naming(*order_ids)
        process.intake.deliver(message.work)
        await pass_time(AT_ONCE_S)
        assert message.verdict is Verdict.DONE
        assert floor.order(order_ids[0]).delivery is Delivery.PARKED
        assert floor.order(order_ids[1]).delivery is Delivery.ACKED

    on_floor(test)


def test_what_is_no_work_message_is_put_aside_and_told_of_once() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place()
        bad, good = [Delivered(5, body) for body in (b"", b"{}", b'{"\xff":9,"hints":[]}')], naming(order_id)
        with capture_logs() as logs:
            for message in (*bad, good):
                process.intake.deliver(message.work)
            await pass_time(AT_ONCE_S)
        assert [(message.verdict, message.told) for message in bad] == [(Verdict.DEAD, 1)] * 3
        assert good.verdict is Verdict.DONE
        assert process.intake.undecodable == 3
        assert len([line for line in logs if line["log_level"] == "error"]) == 3

    on_floor(test)


def test_an_order_that_is_not_there_or_of_another_shard_is_no_reason_to_wait() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place()
        unknown, astray = naming(UUID(int=7)), naming(order_id, shard=(shard_of(order_id) + 1) % SHARDS)
        process.intake.deliver(unknown.work)
        process.intake.deliver(astray.work)
        await pass_time(AT_ONCE_S)
        assert (unknown.verdict, astray.verdict) == (Verdict.DONE, Verdict.DONE)
        assert floor.venue.calls == []

    on_floor(test)


def test_what_belongs_to_a_shard_that_is_given_up_is_not_called_done() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        first, second = of_one_shard(floor.client.place(300), 2)
        slow(floor, 2)
        running, waiting = naming(first), naming(second)
        process.intake.deliver(running.work)
        process.intake.deliver(waiting.work)
        await pass_time(0.5)
        process.feeder.own(())
        await pass_time(2)
        assert (running.verdict, waiting.verdict) == (Verdict.DONE, None)
        waiting.work.give_back()
        assert waiting.verdict is Verdict.RETURNED

    on_floor(test, threads=1)


def test_a_message_whose_connection_is_lost_is_not_answered_and_holds_up_nobody() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place()
        lost, again = naming(order_id), naming(order_id)
        floor.appender.delay_s = 0.2
        process.intake.deliver(lost.work)
        await pass_time(0.1)
        lost.work.lose()
        process.intake.deliver(again.work)
        await pass_time(1)
        assert (lost.told, again.verdict) == (0, Verdict.DONE)
        assert len(floor.venue.calls) == 1

    on_floor(test, PLAIN)


def test_an_order_that_no_message_names_is_placed_all_the_same_after_two_looks_at_the_table() -> None:
    async def test(floor: Floor) -> None:
        listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place()
        await pass_time(SWEEP_S)
        assert floor.venue.calls == []
        await pass_time(SWEEP_S + START_BOUND_S)
        assert floor.order(order_id).delivery is Delivery.ACKED

    on_floor(test, FULL)


def test_orders_whose_messages_still_wait_are_left_to_them_and_one_that_they_have_passed_is_not() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        passed, waiting = of_one_shard(floor.client.place(300), 2)
        told_to = floor.store.read_stream(passed)[0].position
        process.feeder.listen({**dict.fromkeys(ALL_SHARDS), shard_of(passed): told_to})
        await pass_time(3 * SWEEP_S)
        assert floor.order(passed).delivery is Delivery.ACKED
        assert floor.order(waiting).delivery is Delivery.QUEUED

    on_floor(test)


def test_while_the_broker_is_away_orders_are_placed_from_the_table_at_once() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        before = floor.client.place(3)
        process.feeder.listen({})
        during = floor.client.place(3)
        await pass_time(0.5)
        assert all(floor.order(order_id).delivery is Delivery.ACKED for order_id in (*before, *during))
        later = floor.client.place(3)
        await pass_time(0.5)
        assert all(floor.order(order_id).delivery is Delivery.ACKED for order_id in later)

    on_floor(test)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), TooLarge("much")], ids=["fails", "is refused"])
def test_a_turn_that_ends_badly_again_and_again_does_not_keep_its_message(error: Exception) -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        stuck = of_one_shard(floor.client.place(300), QUEUE_PREFETCH)
        floor.appender.faults.extend([error] * 50)
        messages = [naming(order_id) for order_id in stuck]
        for message in messages:
            process.intake.deliver(message.work)
        await pass_time(AT_ONCE_S)
        assert [message.verdict for message in messages] == [Verdict.DONE] * QUEUE_PREFETCH
        floor.appender.faults.clear()
        await pass_time(60)
        assert all(floor.order(order_id).delivery is Delivery.ACKED for order_id in stuck), "the window has them"

    on_floor(test)


def test_orders_behind_messages_that_tell_nothing_more_are_placed_from_the_table() -> None:
    async def test(floor: Floor) -> None:
        process = listening(floor)
        await pass_time(AT_ONCE_S)
        (order_id,) = floor.client.place()
        shard = shard_of(order_id)
        for _ in range(round(MESSAGES_STILL_S - 2 * SWEEP_S)):
            process.feeder.listen({**dict.fromkeys(ALL_SHARDS), shard: 0})
            await pass_time(1)
        assert floor.order(order_id).delivery is Delivery.QUEUED
        for _ in range(round(4 * SWEEP_S)):
            process.feeder.listen({**dict.fromkeys(ALL_SHARDS), shard: 0})
            await pass_time(1)
        assert floor.order(order_id).delivery is Delivery.ACKED

    on_floor(test)
