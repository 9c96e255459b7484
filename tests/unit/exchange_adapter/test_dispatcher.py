"""How orders are submitted: the claim before the call, and what becomes of doubt. In virtual time."""

from __future__ import annotations

from uuid import UUID

from exchange_adapter.bounds import START_BOUND_S
from exchange_adapter.venue import NotSent, Placed, Refused, Unknown
from orders.domain import events as e
from orders.domain.order import Order
from orders.domain.values import Capabilities, Delivery, Evidence
from orders.eventstore.port import Appended, CommitUnknown, Conflict, StoreUnavailable, Unit
from tests.support.adapter_floor import ALL_SHARDS, PLAIN, Floor, Later, LostAnswer, on_floor
from tests.support.virtual_time import pass_time

ASKS = Capabilities(queries=True, late_arrival_s=30.0)


def claims(floor: Floor, order_id: UUID) -> list[e.SubmitStarted]:
    return [r.event for r in floor.store.read_stream(order_id) if isinstance(r.event, e.SubmitStarted)]


def events(floor: Floor, order_id: UUID, kind: type[e.OrderEvent]) -> list[e.OrderEvent]:
    return [r.event for r in floor.store.read_stream(order_id) if isinstance(r.event, kind)]


def test_an_order_is_placed() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.start()
        await pass_time(1)
        assert floor.history(order_id) == ["OrderPlaced", "SubmitStarted", "OrderAccepted"]
        assert floor.order(order_id).venue_order_id == "V-1"

    on_floor(test)


def test_an_attempt_is_recorded_before_the_call() -> None:
    async def test(floor: Floor) -> None:
        claimed: list[bool] = []
        floor.venue.on_call = lambda called: claimed.append(floor.order(called.order_id).delivery is Delivery.SENDING)
        floor.client.place(5)
        floor.start()
        await pass_time(1)
        assert claimed == [True] * 5

    on_floor(test)


def test_who_loses_the_claim_never_calls() -> None:
    async def test(floor: Floor) -> None:
        order_ids = floor.client.place(20)
        floor.appender.delay_s = 0.1
        floor.venue.will("submit", *[Later(1.0, Placed("V"))] * 20)
        first, second = floor.start(), floor.start()
        await pass_time(0.5)
        assert {first.worker, second.worker} >= {floor.order(order_id).worker for order_id in order_ids}
        assert len(floor.venue.of("submit")) == 20
        assert all(len(claims(floor, order_id)) == 1 for order_id in order_ids)

    on_floor(test, PLAIN)


def test_a_claim_whose_answer_was_lost_leads_to_no_call_and_is_recorded_as_never_sent() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.appender.faults.append(LostAnswer())
        floor.start()
        await pass_time(2.9)
        assert floor.venue.calls == []
        await pass_time(10)
        (failed,) = events(floor, order_id, e.SubmitFailed)
        assert isinstance(failed, e.SubmitFailed)
        assert (failed.attempts, failed.evidence) == ((1,), Evidence.NEVER_SENT)
        assert [called.order_id for called in floor.venue.calls] == [order_id]
        assert floor.order(order_id).delivery is Delivery.ACKED

    on_floor(test, PLAIN)


def test_a_claim_that_was_not_written_leads_to_no_call() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.appender.faults.append(StoreUnavailable("away"))
        floor.start()
        await pass_time(10)
        assert floor.history(order_id) == ["OrderPlaced", "SubmitStarted", "OrderAccepted"]
        assert len(floor.venue.calls) == 1

    on_floor(test, PLAIN)


def test_a_thread_that_starts_after_the_start_bound_makes_no_call() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.thread_delay_s = START_BOUND_S + 0.1
        process = floor.start()
        await pass_time(START_BOUND_S + 0.2)
        assert floor.venue.calls == []
        assert floor.history(order_id) == ["OrderPlaced", "SubmitStarted", "SubmitFailed"]
        process.calls.thread_delay_s = 0.0
        await pass_time(2)
        assert len(floor.venue.calls) == 1
        assert floor.order(order_id).failures == 0

    on_floor(test, PLAIN)


def test_the_start_bound_counts_from_before_the_append() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.appender.delay_s = START_BOUND_S + 0.1
        floor.start()
        await pass_time(START_BOUND_S + 0.2)
        assert floor.venue.calls == []
        await pass_time(START_BOUND_S + 0.2)
        (failed,) = events(floor, order_id, e.SubmitFailed)
        assert isinstance(failed, e.SubmitFailed)
        assert failed.evidence is Evidence.NEVER_SENT

    on_floor(test, PLAIN)


def test_a_refusal_ends_the_order() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Refused("symbol is not traded"))
        floor.start()
        await pass_time(5)
        assert floor.history(order_id) == ["OrderPlaced", "SubmitStarted", "OrderRejected"]
        assert len(floor.venue.calls) == 1

    on_floor(test)


def test_a_call_past_its_timeout_is_in_doubt_and_its_late_return_is_evidence() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(30.0, Placed("V-9")))
        process = floor.start()
        await pass_time(10.1)
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        assert process.calls.lost == 1
        await pass_time(20)
        assert floor.order(order_id).delivery is Delivery.ACKED
        assert (process.calls.lost, process.calls.busy) == (0, 0)
        assert len(floor.venue.calls) == 1

    on_floor(test, PLAIN, call_timeout_s=10.0)


def test_a_late_definite_failure_puts_the_order_back_into_the_queue() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(30.0, NotSent("no connection")))
        floor.start()
        await pass_time(40)
        assert floor.history(order_id) == [
            *("OrderPlaced", "SubmitStarted", "SubmitInDoubt", "SubmitFailed"),
            *("SubmitStarted", "OrderAccepted"),
        ]

    on_floor(test, PLAIN)


def test_an_exception_of_the_venue_is_no_failure_but_a_doubt() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", RuntimeError("socket closed"))
        floor.start()
        await pass_time(600)
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        assert len(floor.venue.calls) == 1

    on_floor(test, PLAIN)


def test_what_is_in_doubt_is_sent_again_where_the_venue_deduplicates() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        floor.start()
        await pass_time(2)
        assert floor.history(order_id) == [
            *("OrderPlaced", "SubmitStarted", "SubmitInDoubt", "SubmitStarted", "OrderAccepted"),
        ]

    on_floor(test)


def test_a_failed_resend_leaves_the_earlier_attempt_in_doubt() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"), *[NotSent("no connection")] * 3)
        floor.start()
        await pass_time(1)
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        assert floor.order(order_id).in_doubt == {1}
        await pass_time(60)
        assert floor.order(order_id).delivery is Delivery.ACKED

    on_floor(test)


def test_a_crash_after_the_claim_is_in_doubt_and_held_where_nothing_can_be_asked() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(5.0, Placed("V")))
        process = floor.start()
        await pass_time(1)
        await process.crash()
        assert floor.order(order_id).delivery is Delivery.SENDING
        floor.start()
        await pass_time(600)
        assert floor.history(order_id) == ["OrderPlaced", "SubmitStarted", "SubmitInDoubt"]
        assert len(floor.venue.calls) == 1

    on_floor(test, PLAIN)


def test_a_crash_after_the_claim_is_sent_again_where_the_venue_deduplicates() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(5.0, Placed("V")))
        process = floor.start()
        await pass_time(1)
        await process.crash()
        floor.start()
        await pass_time(5)
        assert floor.history(order_id)[2:] == ["SubmitInDoubt", "SubmitStarted", "OrderAccepted"]

    on_floor(test)


def test_a_shard_taken_over_finds_in_doubt_what_another_process_is_sending() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(3.0, Placed("V")))
        first = floor.start()
        await pass_time(1)
        first.feeder.own(())
        floor.start()
        await pass_time(1)
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        await pass_time(2)
        assert floor.order(order_id).delivery is Delivery.ACKED, "the late outcome of the first process is evidence"
        assert len(floor.venue.calls) == 1

    on_floor(test, PLAIN)


def test_a_claim_that_lands_after_the_next_one_was_decided_is_known_as_never_sent() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        process = floor.start([])
        current, late = process.handler.current, floor.appender.append

        async def lands_late(unit: Unit) -> Appended | Conflict:
            floor.appender.append = late  # type: ignore[method-assign]
            lost.append(unit)
            raise CommitUnknown("the answer was lost")

        async def read(wanted: UUID) -> Order:
            order = await current(wanted)
            if lost:
                await late(lost.pop())
            return order

        lost: list[Unit] = []
        floor.appender.append = lands_late  # type: ignore[method-assign]
        process.handler.current = read  # type: ignore[method-assign]
        process.feeder.own(ALL_SHARDS)
        await pass_time(30)
        assert floor.history(order_id) == [
            "OrderPlaced",
            "SubmitStarted",
            "SubmitFailed",
            "SubmitStarted",
            "OrderAccepted",
        ]

    on_floor(test, PLAIN)
