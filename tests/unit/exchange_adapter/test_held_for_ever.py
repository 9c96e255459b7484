"""Orders that may wait for ever: a person hears of them, though the log does not tell. In virtual time."""

from __future__ import annotations

from uuid import UUID

import pytest

from exchange_adapter.alerts import AlertKind
from exchange_adapter.bounds import MAX_NOTED_ALERTS
from exchange_adapter.process_alerts import ProcessAlerts
from exchange_adapter.venue import Found, NotFound, Refused, Unknown, UnknownOrder, VenueState
from orders.domain.values import Capabilities, Delivery, TimeInForce
from tests.support.adapter_floor import Floor, on_floor
from tests.support.virtual_time import EPOCH, pass_time

LOST = Unknown("connection lost")


@pytest.mark.parametrize(
    ("venue", "words", "asks"),
    [
        pytest.param(
            Capabilities(queries=True), {"submit": LOST, "query": NotFound()}, (), id="not found is never believed"
        ),
        pytest.param(
            Capabilities(cancels=True),
            {"submit": LOST, "cancel": UnknownOrder("unknown")},
            ("cancel",),
            id="nor is unknown order",
        ),
        pytest.param(
            Capabilities(cancels=True, late_arrival_s=5.0),
            {"submit": LOST, "cancel": LOST},
            ("cancel",),
            id="a cancel in doubt is never answered",
        ),
        pytest.param(
            Capabilities(cancels=True, replaces=True), {"replace": LOST}, ("replace",), id="a replace was lost"
        ),
        pytest.param(
            Capabilities(cancels=True), {"cancel": (LOST, Refused("gone"))}, ("cancel",), id="a cancel was refused"
        ),
    ],
)
def test_it_is_told_after_a_while(venue: Capabilities, words: dict[str, object], asks: tuple[str, ...]) -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(limit_price="1.10000")
        for call, word in words.items():
            floor.venue.will(call, *(word if isinstance(word, tuple) else [word] * 100))
        process = floor.start()
        await pass_time(1)
        if "cancel" in asks:
            floor.client.cancel(order_id)
        if "replace" in asks:
            floor.client.replace(order_id, quantity=12)
        await pass_time(20)
        assert list(process.window.for_person()) == []
        await pass_time(160)
        ((told, _),) = process.window.for_person()
        assert told == order_id

    on_floor(test, venue)


@pytest.mark.parametrize(
    "venue", [Capabilities(deduplicates=True), Capabilities(resends_in_doubt=True)], ids=["deduplicates", "resends"]
)
def test_an_order_in_doubt_whose_day_is_over_is_told(venue: Capabilities) -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(time_in_force=TimeInForce.DAY)
        floor.venue.will("submit", *[LOST] * 200)
        process = floor.start()
        await pass_time(1200)
        assert floor.order(order_id).delivery is Delivery.IN_DOUBT
        assert [told for told, _ in process.window.for_person()] == [order_id]

    on_floor(test, venue)


def test_it_ends_when_the_exchange_turns_out_to_have_it() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        floor.venue.will("submit", LOST)
        floor.venue.will("query", *[NotFound()] * 12, Found(state=VenueState.WORKING))
        process = floor.start()
        await pass_time(120)
        assert [told for told, _ in process.window.for_person()] == [order_id]
        await pass_time(300)
        assert floor.order(order_id).delivery is Delivery.ACKED
        assert list(process.window.for_person()) == []

    on_floor(test, Capabilities(queries=True))


def test_what_is_settled_in_time_is_not_told() -> None:
    async def test(floor: Floor) -> None:
        floor.client.place()
        floor.venue.will("submit", LOST)
        floor.venue.will("query", *[NotFound()] * 100)
        process = floor.start()
        for _ in range(100):
            await pass_time(1)
            assert list(process.window.for_person()) == []

    on_floor(test, Capabilities(queries=True, late_arrival_s=30.0))


def test_a_process_tells_of_them_as_held_while_they_last_and_of_so_many_only() -> None:
    waiting = [(UUID(int=number), "nobody knows") for number in range(MAX_NOTED_ALERTS + 5)]
    alerts = ProcessAlerts("worker-1", {}, lambda: EPOCH, lambda: waiting)
    told = alerts.look()
    assert len(told) == MAX_NOTED_ALERTS
    assert (told[0].kind, told[0].key, told[0].detail) == (AlertKind.ORDER_HELD, str(UUID(int=0)), "nobody knows")
    assert alerts.look() == told
    waiting.clear()
    assert alerts.look() == []
