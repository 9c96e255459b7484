"""Cancels at the venue, with every answer lost once. In virtual time."""

from __future__ import annotations

from decimal import Decimal

from structlog.testing import capture_logs

from exchange_adapter.policy import unwanted_cancel_id
from exchange_adapter.venue import (
    Done,
    Found,
    NotFound,
    NotSent,
    Placed,
    Refused,
    Unknown,
    UnknownOrder,
    VenueExecution,
    VenueState,
)
from orders.domain import commands as c
from orders.domain.values import Capabilities, Delivery, Phase
from tests.support.adapter_floor import PLAIN, Floor, Later, after_placing, on_floor, resting
from tests.support.virtual_time import pass_time

FORGETFUL = Capabilities(cancels=True, replaces=True)
ASKS = Capabilities(cancels=True, replaces=True, queries=True, late_arrival_s=30.0)


def test_a_cancel_goes_to_the_venue_with_its_ids() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.client.cancel(order_id)
        request_id = floor.order(order_id).pending_cancel
        await pass_time(1)
        assert after_placing(floor, order_id) == ["CancelRequested", "OrderCanceled"]
        (called,) = floor.venue.of("cancel")
        assert (called.asked.request_id, called.asked.base) == (request_id, order_id)

    on_floor(test)


def test_a_refused_cancel_leaves_the_order_as_it_is() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("cancel", Refused("too late"))
        floor.client.cancel(order_id)
        await pass_time(1)
        assert after_placing(floor, order_id) == ["CancelRequested", "CancelRejected"]
        assert floor.order(order_id).phase is Phase.OPEN

    on_floor(test, FORGETFUL)


def test_the_fill_that_made_a_cancel_too_late_is_recorded_before_the_refusal() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        fill = VenueExecution(exec_id="E1", quantity=10, price=Decimal("1.1"))
        floor.venue.will("cancel", Refused("already executed"))
        floor.venue.will("query", Found(state=VenueState.EXECUTED, filled=10, executions=(fill,)))
        floor.client.cancel(order_id)
        await pass_time(1)
        assert after_placing(floor, order_id) == ["CancelRequested", "OrderExecuted", "CancelRejected"]
        assert floor.order(order_id).phase is Phase.FILLED

    on_floor(test)


def test_a_cancel_whose_answer_was_lost_is_repeated_under_the_same_id() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("cancel", Unknown("connection lost"), NotSent("down"), RuntimeError("broken"), Done())
        floor.client.cancel(order_id)
        await pass_time(10)
        assert after_placing(floor, order_id) == ["CancelRequested", "OrderCanceled"]
        assert len({called.asked.request_id for called in floor.venue.of("cancel")}) == 1
        assert len(floor.venue.of("cancel")) == 4

    on_floor(test, FORGETFUL)


def test_already_canceled_after_a_lost_answer_is_no_refusal() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("cancel", Unknown("connection lost"), Refused("already canceled"))
        floor.client.cancel(order_id)
        await pass_time(300)
        assert after_placing(floor, order_id) == ["CancelRequested"], "held: the report will tell"
        assert len(floor.venue.of("cancel")) == 2

    on_floor(test, FORGETFUL)


def test_already_canceled_after_a_lost_answer_is_asked_about() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("cancel", Unknown("connection lost"), Refused("already canceled"))
        floor.venue.will("query", Found(state=VenueState.CANCELED))
        floor.client.cancel(order_id)
        await pass_time(10)
        assert after_placing(floor, order_id) == ["CancelRequested", "OrderCanceled"]

    on_floor(test, ASKS)


def test_a_repeated_cancel_that_was_refused_in_earnest_is_refused_once_the_lost_one_cannot_arrive() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("cancel", Unknown("connection lost"), Refused("not now"))
        floor.venue.will("query", *[Found(state=VenueState.WORKING)] * 50)
        floor.client.cancel(order_id)
        await pass_time(40)
        assert after_placing(floor, order_id) == ["CancelRequested"]
        await pass_time(35)
        assert after_placing(floor, order_id) == ["CancelRequested", "CancelRejected"]

    on_floor(test, ASKS)


def test_a_refusal_is_believed_where_the_venue_says_that_it_works_on_the_order() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("cancel", Refused("not now"))
        floor.venue.will("query", NotSent("down"), Found(state=VenueState.WORKING))
        floor.client.cancel(order_id)
        await pass_time(2)
        assert after_placing(floor, order_id) == ["CancelRequested", "CancelRejected"]

    on_floor(test, ASKS)


def test_already_canceled_is_no_refusal_where_a_process_that_died_may_have_canceled() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(limit_price="1.10000")
        process = floor.start()
        await pass_time(1)
        floor.venue.will("cancel", Later(None), Refused("already canceled"))
        floor.client.cancel(order_id)
        await pass_time(1)
        await process.crash()
        floor.start()
        await pass_time(60)
        assert after_placing(floor, order_id) == ["CancelRequested"], "held: the report will tell"

    on_floor(test, FORGETFUL)


def test_a_cancel_is_held_while_the_submit_runs_and_sent_once_it_is_there() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(3.0, Placed("V")))
        floor.start()
        await pass_time(1)
        floor.client.cancel(order_id)
        await pass_time(1)
        assert floor.venue.of("cancel") == []
        await pass_time(2)
        assert floor.history(order_id) == [
            *("OrderPlaced", "SubmitStarted", "CancelRequested", "OrderAccepted", "OrderCanceled"),
        ]

    on_floor(test)


def test_a_cancel_held_while_the_submit_fails_ends_the_order_without_another_attempt() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(3.0, NotSent("down")))
        floor.start()
        await pass_time(1)
        floor.client.cancel(order_id)
        await pass_time(60)
        assert floor.history(order_id) == [
            *("OrderPlaced", "SubmitStarted", "CancelRequested", "SubmitFailed", "OrderCanceled"),
        ]
        assert len(floor.venue.calls) == 1

    on_floor(test)


def test_while_a_cancel_is_held_doubt_is_settled_by_the_cancel_itself_and_not_by_a_resend() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(20.0, Unknown("gone")))
        floor.venue.will("cancel", UnknownOrder(), UnknownOrder(), Done())
        floor.start()
        await pass_time(1)
        floor.client.cancel(order_id)
        await pass_time(15)
        assert floor.order(order_id).phase is Phase.CANCELED
        assert [called.method for called in floor.venue.calls] == ["submit", "cancel", "cancel", "cancel"]

    on_floor(test)


def test_a_cancel_that_was_to_settle_a_doubt_waits_its_turn_once_another_word_has_settled_it() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(20.0, Unknown("gone")))
        floor.venue.will("cancel", Later(2.0, Unknown("connection lost")))
        floor.start()
        await pass_time(1)
        floor.client.replace(order_id, quantity=20)
        floor.client.cancel(order_id)
        await pass_time(10)
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        stamp = {"order_id": order_id, "command_id": floor.new_id(), "at": floor.loop.utc(), "by": "exchange"}
        floor.client.give(c.RecordExecution(**stamp, exec_id="E1", quantity=1, price=Decimal("1.1")))
        await pass_time(60)
        assert [called.method for called in floor.venue.calls] == ["submit", "cancel", "replace", "cancel"]
        assert floor.order(order_id).phase is Phase.CANCELED

    on_floor(test)


def test_unknown_order_counts_like_not_found_after_the_same_bounds() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        floor.venue.will("cancel", *[UnknownOrder()] * 50)
        floor.start()
        floor.appender.delay_s = 0.01
        await pass_time(0.1)
        floor.client.cancel(order_id)
        await pass_time(71)
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        await pass_time(40)
        assert floor.order(order_id).phase is Phase.CANCELED
        assert floor.history(order_id)[-2:] == ["SubmitFailed", "OrderCanceled"]
        assert len(floor.venue.of("submit")) == 1

    on_floor(test)


def test_a_refused_cancel_proves_that_the_venue_has_an_order_in_doubt() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(20.0, Unknown("gone")))
        floor.venue.will("cancel", Refused("not allowed now"))
        floor.venue.will("query", Unknown("connection lost"))
        floor.start()
        await pass_time(1)
        floor.client.cancel(order_id)
        await pass_time(15)
        assert floor.order(order_id).delivery is Delivery.ACKED
        assert floor.history(order_id)[-2:] == ["OrderAccepted", "CancelRejected"]
        assert len(floor.venue.of("submit")) == 1

    on_floor(test)


def test_an_order_that_ended_as_never_placed_and_turns_out_to_live_is_canceled_there() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", NotSent("so it said"))
        floor.start()
        await pass_time(0.1)
        floor.client.cancel(order_id)
        assert floor.order(order_id).phase is Phase.CANCELED
        await pass_time(5)
        stamp = {"order_id": order_id, "command_id": floor.new_id(), "at": floor.loop.utc(), "by": "exchange"}
        floor.client.give(c.RecordAccepted(**stamp, venue_order_id="V-5"))
        await pass_time(5)
        (called,) = floor.venue.of("cancel")
        assert called.asked.request_id == unwanted_cancel_id(order_id)
        assert floor.history(order_id)[-2:] == ["OrderAccepted", "OrderCanceled"]
        assert not floor.order(order_id).lives_unwanted

    on_floor(test)


def test_an_unwanted_order_that_the_venue_does_not_cancel_is_asked_for_once() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", NotSent("so it said"))
        floor.venue.will("cancel", Refused("already executed"))
        floor.start()
        await pass_time(0.1)
        floor.client.cancel(order_id)
        stamp = {"order_id": order_id, "command_id": floor.new_id(), "at": floor.loop.utc(), "by": "exchange"}
        floor.client.give(c.RecordAccepted(**stamp))
        await pass_time(300)
        assert len(floor.venue.of("cancel")) == 1

    on_floor(test, FORGETFUL)


def test_not_found_of_an_order_at_the_venue_changes_nothing() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("cancel", Unknown("lost"), Refused("already canceled"))
        floor.venue.will("query", NotFound(), NotFound(), Found(state=VenueState.CANCELED))
        floor.client.cancel(order_id)
        await pass_time(30)
        assert after_placing(floor, order_id) == ["CancelRequested", "OrderCanceled"]

    on_floor(test, ASKS)


def test_the_answer_of_a_cancel_that_comes_after_its_timeout_is_evidence() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("cancel", Later(12.0, Done()), *[Unknown("down")] * 9)
        floor.client.cancel(order_id)
        await pass_time(13)
        assert after_placing(floor, order_id) == ["CancelRequested", "OrderCanceled"]

    on_floor(test, FORGETFUL)


def test_a_late_refusal_is_not_believed_where_a_repeat_may_have_gone_through() -> None:
    async def test(floor: Floor) -> None:
        order_id = await resting(floor)
        floor.venue.will("cancel", Later(12.0, Refused("already canceled")), *[Unknown("connection lost")] * 20)
        floor.client.cancel(order_id)
        await pass_time(30)
        assert after_placing(floor, order_id) == ["CancelRequested"]

    on_floor(test, FORGETFUL)


def test_a_cancel_held_where_nothing_can_be_asked_waits_quietly() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        floor.start()
        await pass_time(1)
        floor.client.cancel(order_id)
        with capture_logs() as lines:
            await pass_time(300)
        assert len(lines) <= 1
        assert floor.history(order_id)[-2:] == ["SubmitInDoubt", "CancelRequested"]

    on_floor(test, PLAIN)
