"""Replaces at the venue, with every answer lost once. In virtual time."""

from __future__ import annotations

from decimal import Decimal

from exchange_adapter.venue import (
    Done,
    Found,
    NotSent,
    Refused,
    Unknown,
    VenueState,
)
from orders.domain.commands import RecordReplaced
from orders.domain.values import Capabilities, Phase
from tests.support.adapter_floor import Floor, Later, after_placing, on_floor, resting
from tests.support.virtual_time import pass_time

FORGETFUL = Capabilities(cancels=True, replaces=True)
ASKS = Capabilities(cancels=True, replaces=True, queries=True, late_arrival_s=30.0)


def test_a_replace_builds_on_the_terms_that_the_last_one_made() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.client.replace(order_id, quantity=12)
        first = floor.order(order_id).pending_replace
        await pass_time(1)
        floor.client.replace(order_id, quantity=15)
        await pass_time(1)
        assert first is not None
        assert [called.asked.base for called in floor.venue.of("replace")] == [order_id, first.request_id]
        assert [called.asked.quantity for called in floor.venue.of("replace")] == [12, 15]
        assert floor.order(order_id).quantity == 15

    on_floor(test)


def test_the_venues_own_word_on_the_new_terms_counts() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("replace", Done(11, Decimal("1.09")))
        floor.client.replace(order_id, quantity=12)
        await pass_time(1)
        order = floor.order(order_id)
        assert (order.quantity, order.limit_price) == (11, Decimal("1.09"))

    on_floor(test)


def test_a_refused_replace_leaves_the_terms() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("replace", Refused("stale base"))
        floor.client.replace(order_id, quantity=12)
        await pass_time(1)
        assert after_placing(floor, order_id) == ["ReplaceRequested", "ReplaceRejected"]
        assert floor.order(order_id).quantity == 10

    on_floor(test)


def test_a_cancel_is_sent_after_the_replace_that_was_pending() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("replace", Later(2.0, Done()))
        floor.client.replace(order_id, quantity=12)
        await pass_time(1)
        floor.client.cancel(order_id)
        await pass_time(5)
        assert [called.method for called in floor.venue.calls] == ["submit", "replace", "cancel"]
        assert floor.venue.calls[-1].asked.base == floor.venue.calls[-2].asked.request_id
        assert floor.order(order_id).phase is Phase.CANCELED

    on_floor(test)


def test_nor_does_it_wait_where_the_report_of_the_replace_came_before_its_answer() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(limit_price="1.10000")
        process = floor.start()
        await pass_time(1)
        floor.venue.will("replace", *[NotSent("down")] * 8, Later(2.0, Done()))
        floor.client.replace(order_id, quantity=12)
        await wait_for_call(floor, "replace", 9)
        floor.client.cancel(order_id)
        change = floor.order(order_id).pending_replace
        assert change is not None
        stamp = {"command_id": floor.new_id(), "order_id": order_id, "at": floor.loop.utc(), "by": "exchange"}
        await process.handler.execute(
            RecordReplaced(**stamp, quantity=12, limit_price=Decimal("1.10000"), request_id=change.request_id)
        )
        replaced_at = floor.venue.of("replace")[-1].at + 2.0
        await pass_time(60)
        (canceled,) = floor.venue.of("cancel")
        assert canceled.at - replaced_at < 0.1
        assert floor.order(order_id).phase is Phase.CANCELED

    on_floor(test)


async def wait_for_call(floor: Floor, method: str, count: int) -> None:
    while len(floor.venue.of(method)) < count:
        await pass_time(0.1)


def test_a_replace_whose_answer_was_lost_is_repeated_where_answers_are_repeated() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("replace", Unknown("connection lost"))
        floor.client.replace(order_id, quantity=12)
        await pass_time(2)
        assert len(floor.venue.of("replace")) == 2
        assert floor.order(order_id).quantity == 12

    on_floor(test)


def test_a_replace_whose_answer_was_lost_is_never_resent_where_answers_are_not_repeated() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("replace", Unknown("connection lost"))
        floor.client.replace(order_id, quantity=12)
        await pass_time(300)
        assert len(floor.venue.of("replace")) == 1
        assert after_placing(floor, order_id) == ["ReplaceRequested"]

    on_floor(test, FORGETFUL)


def test_nor_after_a_crash() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(limit_price="1.10000")
        process = floor.start()
        await pass_time(1)
        floor.venue.will("replace", Later(5.0, Done()))
        floor.client.replace(order_id, quantity=12)
        await pass_time(1)
        await process.crash()
        floor.start()
        await pass_time(300)
        assert len(floor.venue.of("replace")) == 1

    on_floor(test, FORGETFUL)


def test_a_replace_that_was_surely_not_sent_is_sent_again() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("replace", NotSent("down"), NotSent("down"))
        floor.client.replace(order_id, quantity=12)
        await pass_time(5)
        assert len(floor.venue.of("replace")) == 3
        assert floor.order(order_id).quantity == 12

    on_floor(test, FORGETFUL)


def test_a_lost_replace_is_settled_by_asking() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("replace", Unknown("connection lost"))
        working = Found(state=VenueState.WORKING, quantity=10, limit_price=Decimal("1.1"))
        through = Found(state=VenueState.WORKING, quantity=12, limit_price=Decimal("1.1"))
        floor.venue.will("query", working, working, through)
        floor.client.replace(order_id, quantity=12)
        await pass_time(20)
        assert after_placing(floor, order_id) == ["ReplaceRequested", "OrderReplaced"]

    on_floor(test, ASKS)


def test_a_lost_replace_that_cannot_arrive_any_more_is_rejected() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("replace", Unknown("connection lost"))
        old = Found(state=VenueState.WORKING, quantity=10, limit_price=Decimal("1.1"))
        floor.venue.will("query", *[old] * 20)
        floor.client.replace(order_id, quantity=12)
        await pass_time(40)
        assert after_placing(floor, order_id) == ["ReplaceRequested"]
        await pass_time(40)
        assert after_placing(floor, order_id) == ["ReplaceRequested", "ReplaceRejected"]

    on_floor(test, ASKS)


def test_a_replace_whose_call_still_runs_may_arrive_however_old_it_is() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("replace", Later(90.0, Unknown("the name was looked up for long")))
        old = Found(state=VenueState.WORKING, quantity=10, limit_price=Decimal("1.1"))
        floor.venue.will("query", *[old] * 40)
        floor.client.replace(order_id, quantity=12)
        await pass_time(90 + 40)
        assert after_placing(floor, order_id) == ["ReplaceRequested"]
        await pass_time(40)
        assert after_placing(floor, order_id) == ["ReplaceRequested", "ReplaceRejected"]

    on_floor(test, ASKS)


def test_a_held_replace_waits_until_doubt_is_settled_by_the_terms_of_the_first_attempt() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(limit_price="1.10000")
        floor.venue.will("submit", Later(20.0, Unknown("gone")))
        floor.start()
        await pass_time(1)
        floor.client.replace(order_id, quantity=12)
        await pass_time(20)
        assert [called.asked.quantity for called in floor.venue.calls] == [10, 10, 12]
        assert [called.method for called in floor.venue.calls] == ["submit", "submit", "replace"]
        assert floor.order(order_id).quantity == 12

    on_floor(test)
