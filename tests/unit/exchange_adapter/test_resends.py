"""ON_DOUBT=resend: what nothing else can settle is sent again, as late as helps, and perhaps placed twice."""

from __future__ import annotations

from exchange_adapter.alerts import AlertKind
from exchange_adapter.bounds import START_BOUND_S
from exchange_adapter.venue import NotSent, Placed, Refused, Unknown
from orders.domain.values import Capabilities, Delivery, Phase
from tests.support.adapter_floor import Floor, Later, on_floor
from tests.support.virtual_time import pass_time

RESENDS = Capabilities(resends_in_doubt=True)


def test_where_the_operator_chose_so_what_is_in_doubt_is_sent_again_once_a_slow_answer_cannot_come() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        floor.start()
        await pass_time(START_BOUND_S + 10 - 0.1)
        assert len(floor.venue.calls) == 1
        await pass_time(0.2)
        assert floor.history(order_id) == [
            *("OrderPlaced", "SubmitStarted", "SubmitInDoubt", "SubmitStarted", "OrderAccepted"),
        ]

    on_floor(test, RESENDS)


def test_the_wait_before_such_a_repeat_begins_anew_in_a_process_that_does_not_know_when_the_attempt_was_made() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(60.0, Placed("V")))
        process = floor.start()
        await pass_time(8)
        await process.crash()
        floor.start()
        await pass_time(START_BOUND_S + 10 - 0.1)
        assert len(floor.venue.calls) == 1
        await pass_time(0.5)
        assert len(floor.venue.calls) == 2
        assert floor.order(order_id).delivery is Delivery.ACKED

    on_floor(test, RESENDS)


def test_a_late_answer_settles_an_order_before_it_is_sent_again() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(START_BOUND_S + 10 - 0.5, Placed("V")))
        floor.start()
        await pass_time(60)
        assert len(floor.venue.calls) == 1
        assert floor.order(order_id).delivery is Delivery.ACKED

    on_floor(test, RESENDS)


def test_the_first_answer_after_a_repeat_settles_the_order_and_a_failed_repeat_does_not() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(14.0, Placed("V")), NotSent("no connection"), NotSent("no connection"))
        floor.start()
        await pass_time(13.5)
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        assert len(floor.venue.calls) > 1
        await pass_time(60)
        assert floor.order(order_id).delivery is Delivery.ACKED
        assert len(floor.venue.calls) == floor.order(order_id).attempts <= 3

    on_floor(test, RESENDS)


def test_a_refused_repeat_leaves_the_order_in_doubt_by_its_first_attempt() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"), *[Refused("insufficient funds")] * 50)
        floor.start()
        await pass_time(120)
        assert floor.history(order_id)[2:5] == ["SubmitInDoubt", "SubmitStarted", "SubmitFailed"]
        order = floor.order(order_id)
        assert (order.phase, order.delivery, order.in_doubt) == (Phase.OPEN, Delivery.IN_DOUBT, frozenset({1}))

    on_floor(test, RESENDS)


def test_a_late_refusal_does_not_end_an_order_that_a_repeat_brought_there() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(60.0, Refused("insufficient funds")))
        floor.start()
        await pass_time(120)
        assert floor.history(order_id)[2:] == ["SubmitInDoubt", "SubmitStarted", "OrderAccepted"]
        assert floor.noted == [(AlertKind.LATE_FAILURE, order_id)]

    on_floor(test, RESENDS)


def test_a_cancel_that_is_held_does_not_keep_such_an_order_in_doubt() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        floor.start()
        await pass_time(1)
        floor.client.cancel(order_id)
        await pass_time(30)
        assert floor.history(order_id)[3:] == ["CancelRequested", "SubmitStarted", "OrderAccepted", "CancelRejected"]

    on_floor(test, RESENDS)
