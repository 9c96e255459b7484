"""Whose turn it is: order, retries, parking, days that end, outages and stops. In virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from exchange_adapter.bounds import BREAKER_OPENS_AFTER
from exchange_adapter.errors import PoolExhausted
from exchange_adapter.venue import Done, NotSent, Placed, Unknown
from orders.domain import events as e
from orders.domain.values import Capabilities, Delivery, Evidence, Phase, Status, TimeInForce
from orders.eventstore.port import Recorded, StoreUnavailable, UnknownEvent
from tests.support.adapter_floor import PLAIN, Called, Floor, Later, on_floor
from tests.support.virtual_time import pass_time

ASKS = Capabilities(queries=True, late_arrival_s=30.0)


def claims(floor: Floor, order_id: UUID) -> list[e.SubmitStarted]:
    return [r.event for r in floor.store.read_stream(order_id) if isinstance(r.event, e.SubmitStarted)]


def test_a_definite_failure_is_tried_again_after_a_pause_that_grows() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", *[NotSent("no connection")] * 5)
        floor.start()
        await pass_time(60)
        at = [called.at for called in floor.venue.calls]
        pauses = [later - earlier for earlier, later in pairwise(at)]
        assert len(pauses) == 5
        assert 0.2 <= pauses[0] <= 0.5
        assert all(later > earlier for earlier, later in pairwise(pauses))
        assert floor.order(order_id).delivery is Delivery.ACKED
        assert floor.order(order_id).attempts == 6

    on_floor(test, PLAIN)


def test_an_order_that_fails_while_others_pass_is_parked() -> None:
    async def test(floor: Floor) -> None:
        (stuck,) = floor.client.place()

        def answer(called: Called) -> None:
            if called.order_id == stuck:
                floor.venue.will("submit", NotSent("this one never goes"))

        floor.venue.on_call = answer
        floor.start()
        await pass_time(5)
        others = floor.client.place(3)
        await pass_time(300)
        assert floor.order(stuck).delivery is Delivery.PARKED
        assert floor.order(stuck).failures == 8
        assert all(floor.order(other).delivery is Delivery.ACKED for other in others)

    on_floor(test, PLAIN)


def test_orders_are_not_parked_while_all_fail() -> None:
    async def test(floor: Floor) -> None:
        order_ids = floor.client.place(3)
        floor.venue.will("submit", *[NotSent("down")] * 60)
        floor.start()
        await pass_time(900)
        assert all(floor.order(order_id).delivery is Delivery.ACKED for order_id in order_ids)
        assert all("PlacementParked" not in floor.history(order_id) for order_id in order_ids)

    on_floor(test, PLAIN)


def test_a_stuck_order_does_not_delay_another() -> None:
    async def test(floor: Floor) -> None:
        (stuck,) = floor.client.place()
        floor.venue.will("submit", Later(None))
        floor.start()
        await pass_time(1)
        (other,) = floor.client.place()
        await pass_time(1)
        assert floor.order(stuck).delivery is Delivery.SENDING
        assert floor.order(other).delivery is Delivery.ACKED

    on_floor(test, PLAIN)


def test_the_oldest_goes_first_and_no_claim_is_made_without_a_free_thread() -> None:
    async def test(floor: Floor) -> None:
        order_ids = floor.client.place(10)
        floor.venue.will("submit", *[Later(1.0, Placed("V"))] * 10)
        floor.start()
        await pass_time(0.5)
        assert [called.order_id for called in floor.venue.calls] == order_ids[:2]
        assert [bool(claims(floor, order_id)) for order_id in order_ids] == [True] * 2 + [False] * 8
        await pass_time(5)
        assert [called.order_id for called in floor.venue.calls] == order_ids

    on_floor(test, PLAIN, threads=2)


def test_a_day_order_never_sent_by_the_end_of_its_day_expires() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(time_in_force=TimeInForce.DAY)
        process = floor.start()
        floor.venue.on_call = lambda called: floor.venue.will("submit", NotSent("down"))
        await pass_time(599)
        assert floor.order(order_id).status is Status.PLACED
        await pass_time(35)
        assert floor.order(order_id).phase is Phase.EXPIRED
        assert floor.order(order_id).closed_by is Evidence.NEVER_PLACED
        await process.stop()

    on_floor(test, PLAIN)


def test_a_parked_day_order_expires_too() -> None:
    async def test(floor: Floor) -> None:
        (stuck,) = floor.client.place(time_in_force=TimeInForce.DAY)
        floor.venue.will("submit", *[NotSent("no")] * 7)
        floor.start()
        await pass_time(25)
        floor.client.place()
        floor.venue.script["submit"].clear()
        floor.venue.on_call = lambda called: floor.venue.will("submit", *[NotSent("no")] * (called.order_id == stuck))
        await pass_time(120)
        assert floor.order(stuck).delivery is Delivery.PARKED
        await pass_time(480)
        assert floor.order(stuck).phase is Phase.EXPIRED

    on_floor(test, PLAIN)


def test_an_outcome_is_recorded_however_long_the_database_is_away() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(1.0, Placed("V")))
        floor.start()
        await pass_time(0.5)
        floor.appender.away = True
        await pass_time(600)
        assert floor.order(order_id).delivery is Delivery.SENDING
        floor.appender.away = False
        await pass_time(5)
        assert floor.history(order_id) == ["OrderPlaced", "SubmitStarted", "OrderAccepted"]

    on_floor(test, PLAIN)


def test_a_stop_lets_running_calls_end_and_leaves_the_rest() -> None:
    async def test(floor: Floor) -> None:
        quick, slow, late = floor.client.place(3)
        floor.venue.will("submit", Later(2.0, Placed("V")), Later(60.0, Placed("V")))
        process = floor.start()
        await pass_time(1)
        began = floor.loop.time()
        await process.stop()
        assert floor.loop.time() - began < 6
        assert floor.order(quick).delivery is Delivery.ACKED
        assert floor.order(slow).delivery is Delivery.SENDING
        assert floor.order(late).delivery is Delivery.QUEUED
        floor.start()
        await pass_time(1)
        assert floor.order(slow).delivery is Delivery.IN_DOUBT
        assert floor.order(late).delivery is Delivery.ACKED

    on_floor(test, PLAIN, threads=2, call_timeout_s=100.0)


def test_a_claim_that_the_stop_overtakes_leads_to_no_call_and_is_known_as_never_sent() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.appender.delay_s = 0.5
        process = floor.start()
        await pass_time(0.3)
        await process.stop()
        assert floor.venue.calls == []
        assert floor.history(order_id) == ["OrderPlaced", "SubmitStarted", "SubmitFailed"]
        assert (floor.order(order_id).delivery, floor.order(order_id).failures) == (Delivery.QUEUED, 0)

    on_floor(test, PLAIN)


def test_a_question_that_the_stop_overtakes_is_not_asked() -> None:
    async def test(floor: Floor) -> None:
        floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        process = floor.start()
        await pass_time(0.1)
        process.calls.close()
        await pass_time(5)
        assert floor.venue.of("query") == []
        await process.stop()

    on_floor(test, ASKS)


def test_what_the_domain_refuses_again_and_again_comes_ever_less_often() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(limit_price="1.10000")
        floor.start()
        await pass_time(1)
        floor.venue.will("replace", *[Done(-5)] * 100)
        floor.client.replace(order_id, quantity=12)
        await pass_time(300)
        assert 5 < len(floor.venue.of("replace")) < 25

    on_floor(test)


def test_an_order_that_cannot_be_read_comes_ever_less_often_and_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(floor: Floor) -> None:
        spoilt, other = floor.client.place(2)
        read_stream, reads = floor.store.read_stream, list[UUID]()

        def read(stream_id: UUID, **bounds: int) -> list[Recorded]:
            if stream_id == spoilt:
                reads.append(stream_id)
                raise UnknownEvent("OrderPlaced.v9")
            return read_stream(stream_id, **bounds)

        with monkeypatch.context() as patched, capture_logs() as lines:
            patched.setattr(floor.store, "read_stream", read)
            floor.appender.faults.append(StoreUnavailable("away"))
            floor.start()
            await pass_time(300)
        told = {(line["event"], line["order_id"], line["error"]) for line in lines if line["log_level"] != "info"}
        outage = ("work waits for the database", str(other), "away")
        assert told == {outage, ("an order cannot be read", str(spoilt), "OrderPlaced.v9")}
        assert 5 < len(reads) < 25
        await pass_time(60)
        assert floor.order(spoilt).delivery is Delivery.ACKED

    on_floor(test, PLAIN)


def test_the_seat_of_a_call_that_hung_is_taken_as_soon_as_it_returns() -> None:
    async def test(floor: Floor) -> None:
        floor.venue.will("submit", Later(11.0, Placed("V-1")), *[Placed("V")] * 4, *[Later(4.0, Placed("V"))] * 2)
        floor.start()
        for _ in range(5):
            floor.client.place()
            await pass_time(2)
        floor.client.place(3)
        assert floor.loop.time() == 10
        await pass_time(10)
        began = [round(called.at, 1) for called in floor.venue.of("submit")]
        assert began[-3:] == [10.0, 10.0, 11.0], "and not at 14, when the others end"

    on_floor(test, PLAIN, threads=3, call_timeout_s=10.0)


def test_when_a_quarter_of_the_calls_hangs_the_others_end_and_the_adapter_wants_a_new_start() -> None:
    async def test(floor: Floor) -> None:
        order_ids = floor.client.place(8)
        floor.venue.will("submit", Later(None), Later(None), *[Later(11.0, Placed("V"))] * 6)
        process = floor.start()
        await pass_time(9)
        floor.client.place()
        with pytest.raises(PoolExhausted):
            await asyncio.wait_for(process.tasks[0], 60)
        assert floor.loop.time() < 20
        assert [floor.order(order_id).delivery for order_id in order_ids[:2]] == [Delivery.IN_DOUBT] * 2
        assert len(floor.venue.of("submit")) == 8, "no new calls"

    on_floor(test, PLAIN, threads=8, call_timeout_s=10.0)


def test_a_venue_that_hangs_costs_each_process_few_orders_in_doubt() -> None:
    async def test(floor: Floor) -> None:
        order_ids = floor.client.place(600)
        floor.venue.will("submit", *[Later(None)] * 600)
        first = floor.start()
        await pass_time(60)
        probes = 5
        assert BREAKER_OPENS_AFTER <= len(floor.venue.calls) <= BREAKER_OPENS_AFTER + probes
        await first.crash()
        floor.start()
        await pass_time(60)
        assert len(floor.venue.calls) <= 2 * (BREAKER_OPENS_AFTER + probes)
        hanging = len(floor.venue.calls)
        floor.venue.script["submit"].clear()
        await pass_time(20)
        assert len(floor.venue.calls) == len(order_ids)
        assert sum(floor.order(order_id).delivery is Delivery.ACKED for order_id in order_ids) >= 600 - hanging - 1

    on_floor(test, PLAIN, call_timeout_s=10.0)


def test_a_venue_that_begins_to_hang_gets_no_calls_any_more_well_before_the_first_has_timed_out() -> None:
    async def test(floor: Floor) -> None:
        floor.venue.will("submit", *[Later(0.5, Placed("V"))] * 500)
        floor.client.place(500)
        floor.start()
        await pass_time(5)
        assert len(floor.venue.calls) == 500
        floor.venue.will("submit", *[Later(None)] * 500)
        floor.client.place(30)
        await pass_time(5.1)
        floor.client.place(30)
        await pass_time(4)
        assert len(floor.venue.calls) == 530
        await pass_time(1)
        assert len(floor.venue.calls) <= 531

    on_floor(test, PLAIN, call_timeout_s=10.0)


def test_the_adapter_wants_a_new_start_also_where_the_calls_return_while_the_others_end() -> None:
    async def test(floor: Floor) -> None:
        floor.venue.will("submit", *[Later(12.0, Placed("V"))] * 2, *[Later(9.0, Placed("V"))] * 6)
        floor.client.place(2)
        process = floor.start()
        await pass_time(5)
        floor.client.place(6)
        with pytest.raises(PoolExhausted, match="2 of 8 calls"):
            await asyncio.wait_for(process.tasks[0], 60)
        assert floor.loop.time() > 13
        assert process.calls.lost == 0

    on_floor(test, PLAIN, threads=8, call_timeout_s=10.0)
