"""A venue that is asked about an order in doubt: when "not found" counts, and what it has. In virtual time."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from exchange_adapter.bounds import MAX_UNIT_REPORTS, START_BOUND_S
from exchange_adapter.venue import Found, NotFound, Unknown, VenueExecution, VenueState
from orders.domain import events as e
from orders.domain.values import Capabilities, Delivery, Evidence, Phase
from orders.eventstore.port import Appended, Conflict, TooLarge, Unit
from tests.support.adapter_floor import Floor, Later, on_floor
from tests.support.virtual_time import pass_time

ASKS = Capabilities(queries=True, late_arrival_s=30.0)


def failures(floor: Floor, order_id: UUID) -> list[e.SubmitFailed]:
    return [r.event for r in floor.store.read_stream(order_id) if isinstance(r.event, e.SubmitFailed)]


def test_not_found_counts_only_when_nothing_can_arrive_any_more() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        floor.start()
        await pass_time(START_BOUND_S + 10 + 30 - 0.1)
        assert len(floor.venue.of("query")) > 3
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        await pass_time(35)
        (failed,) = failures(floor, order_id)
        assert (failed.attempts, failed.evidence) == ((1,), Evidence.VENUE_QUERY)
        assert floor.order(order_id).delivery is Delivery.ACKED

    on_floor(test, ASKS)


def test_not_found_is_as_old_as_the_question_however_late_the_answer_comes() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        floor.venue.will("query", *[Later(50.0, NotFound())] * 20)
        floor.start()
        await pass_time(300)
        assert len(failures(floor, order_id)) == 1
        first, last = floor.venue.of("submit")[0], floor.venue.of("query")[-1]
        assert last.at - first.at >= START_BOUND_S + 60 + 30

    on_floor(test, ASKS, call_timeout_s=60.0)


@pytest.mark.parametrize("then_s", [40.0, None])
def test_not_found_proves_nothing_while_an_attempt_of_ours_still_runs(then_s: float | None) -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Later(90.0 if then_s else None, Unknown("the name was looked up for long")))
        floor.start()
        await pass_time(90 + (then_s or 0.0))
        assert len(floor.venue.of("query")) > 3
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        await pass_time(60)
        assert len(floor.venue.of("submit")) == (2 if then_s else 1), "from its end the bound counts anew"

    on_floor(test, ASKS)


def test_not_found_never_counts_where_the_venue_declares_no_bound() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        floor.start()
        await pass_time(900)
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        assert len(floor.venue.of("submit")) == 1

    on_floor(test, Capabilities(queries=True))


def test_what_the_venue_has_is_not_sent_again() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", Unknown("connection lost"))
        floor.venue.will("query", NotFound(), Found(state=VenueState.WORKING, venue_order_id="V-7"))
        floor.start()
        await pass_time(10)
        order = floor.order(order_id)
        assert (order.delivery, order.venue_order_id) == (Delivery.ACKED, "V-7")
        assert len(floor.venue.of("submit")) == 1

    on_floor(test, ASKS)


def test_an_answer_with_very_many_executions_is_recorded_in_parts_that_one_commit_may_carry() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(quantity=2_000)
        ones = tuple(VenueExecution(exec_id=f"F{number}", quantity=1, price=Decimal(1)) for number in range(900))
        floor.venue.will("submit", Unknown("connection lost"))
        floor.venue.will("query", Found(state=VenueState.CANCELED, quantity=2_000, filled=900, executions=ones))
        sizes: list[int] = []
        append = floor.appender.append

        async def seen(unit: Unit) -> Appended | Conflict:
            sizes.append(len(unit.events))
            return await append(unit)

        floor.appender.append = seen  # type: ignore[method-assign]
        floor.start()
        await pass_time(5)
        assert max(sizes) <= MAX_UNIT_REPORTS
        order = floor.order(order_id)
        assert (order.filled, order.phase) == (900, Phase.CANCELED)
        assert floor.history(order_id)[-1] == "OrderCanceled"

    on_floor(test, ASKS)


def test_what_is_too_much_for_one_commit_is_that_orders_failure_alone_and_comes_ever_less_often() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.appender.faults.extend([TooLarge("600000 bytes in one unit")] * 1_000)
        floor.start()
        await pass_time(300)
        assert 5 < 1_000 - len(floor.appender.faults) < 25
        floor.appender.faults.clear()
        await pass_time(60)
        assert floor.order(order_id).delivery is Delivery.ACKED

    on_floor(test, ASKS)
