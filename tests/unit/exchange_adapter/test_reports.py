"""Execution reports into the log: once each, in order, the position after the fills. In virtual time."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange_adapter import reports as reports_module
from exchange_adapter.report_words import command_of
from exchange_adapter.venue import Report, ReportKind, ReportPosition
from orders.domain.values import Delivery, Phase
from tests.support.adapter_floor import Floor, on_floor
from tests.support.report_reading import SOURCE, Reading, follow
from tests.support.virtual_time import pass_time

K = ReportKind


def test_a_fill_is_recorded_and_proves_that_the_venue_has_the_order() -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place()
        reading.journal.fill(order_id, leaves=0)
        await reading.record()
        order = floor.order(order_id)
        assert (order.phase, order.delivery, order.filled) == (Phase.FILLED, Delivery.ACKED, 10)

    on_floor(test)


def test_what_is_redelivered_counts_once() -> None:
    async def test(floor: Floor) -> None:
        reading, order_ids = Reading(floor), floor.client.place(3, quantity=100)
        for order_id in order_ids:
            reading.journal.tell(K.ACCEPTED, order_id, venue_order_id="V")
            for _ in range(5):
                reading.journal.fill(order_id, 3)
        await reading.record()
        before = floor.store.head()
        await reading.record()
        await reading.reader.record(reading.journal.reports[::-1], SOURCE)
        assert floor.store.head() == before
        assert {floor.order(order_id).filled for order_id in order_ids} == {15}

    on_floor(test)


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=6))
def test_fills_busts_and_corrections_add_up_in_any_order(order: list[int], again: list[int]) -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place(quantity=100)
        journal = reading.journal
        for quantity in (10, 20, 30):
            journal.fill(order_id, quantity)
        journal.tell(K.BUSTED, order_id, exec_id="B1", ref_exec_id="E1")
        price = Decimal("1.2")
        journal.tell(K.CORRECTED, order_id, exec_id="C1", ref_exec_id="E2", quantity=5, price=price)
        journal.tell(K.ACCEPTED, order_id)
        for number in [*order, *again]:
            await reading.reader.record([journal.reports[number]], SOURCE)
        assert floor.order(order_id).filled == 35

    on_floor(test)


def test_many_reports_of_one_order_are_a_few_units_and_those_of_many_orders_go_side_by_side() -> None:
    async def test(floor: Floor) -> None:
        reading = Reading(floor)
        (busy,) = floor.client.place(quantity=1_000_000)
        others = floor.client.place(50)
        floor.appender.delay_s = 1.0
        for _ in range(300):
            reading.journal.fill(busy, 1)
        for other in others:
            reading.journal.fill(other)
        began = floor.loop.time()
        await reading.record()
        assert floor.loop.time() - began == pytest.approx(2.0)
        assert floor.order(busy).filled == 300
        assert all(floor.order(other).phase is Phase.FILLED for other in others)

    on_floor(test)


def test_no_more_orders_than_the_bound_are_recorded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_module, "REPORT_UNITS_IN_FLIGHT", 10)

    async def test(floor: Floor) -> None:
        reading, order_ids = Reading(floor), floor.client.place(40)
        floor.appender.delay_s = 1.0
        for order_id in order_ids:
            reading.journal.fill(order_id)
        began = floor.loop.time()
        await reading.record()
        assert floor.loop.time() - began == pytest.approx(4.0)

    on_floor(test)


def test_reports_of_unknown_orders_are_kept_once_on_the_venues_own_stream() -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place()
        reading.journal.fill("not one of ours")
        reading.journal.fill(uuid4())
        reading.journal.fill(order_id)
        reading.journal.tell(K.FILLED, order_id)  # without what makes a fill
        await reading.record()
        await reading.record()
        assert [event.report_key for event in reading.unmatched()] == [f"{SOURCE}/{seq}" for seq in (1, 2, 4)]
        assert reading.unmatched()[0].order_ref == "not one of ours"
        assert reading.unmatched()[0].report == {"seq": 1}
        assert floor.order(order_id).phase is Phase.FILLED

    on_floor(test)


@pytest.mark.parametrize("figures", [{"price": Decimal("NaN")}, {"price": Decimal("Infinity")}, {"quantity": 0}])
def test_a_fill_that_cannot_be_counted_is_kept_aside_and_holds_nothing_up(figures: dict[str, object]) -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place()
        reading.journal.fill(order_id, **{"quantity": 1, **figures})
        reading.journal.fill(order_id)
        await reading.record()
        assert [event.report_key for event in reading.unmatched()] == [f"{SOURCE}/1"]
        assert floor.order(order_id).filled == 10

    on_floor(test)


def test_a_report_that_cannot_be_keeps_no_other_out() -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place()
        reading.journal.fill(order_id, 4)
        reading.journal.fill(order_id, -3)
        reading.journal.fill(order_id, 5, price=Decimal(0))
        await reading.record()
        assert floor.order(order_id).filled == 9
        assert [event.report_key for event in reading.unmatched()] == [f"{SOURCE}/2"]

    on_floor(test)


def test_a_fill_after_the_end_is_recorded_all_the_same() -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place()
        reading.journal.tell(K.CANCELED, order_id)
        reading.journal.fill(order_id, 4)
        await reading.record()
        order = floor.order(order_id)
        assert (order.phase, order.filled) == (Phase.CANCELED, 4)

    on_floor(test)


@pytest.mark.parametrize("kind", list(ReportKind))
def test_every_kind_of_report_has_its_command(kind: ReportKind) -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place()
        full = {"exec_id": "E1", "ref_exec_id": "E0", "quantity": 3, "price": Decimal(1), "reason": "r"}
        report = Report(seq=1, kind=kind, order_ref=str(order_id), request_id=str(uuid4()), **full)
        made = command_of(report, floor.order(order_id), lambda: {**STAMP, "order_id": order_id})
        assert made is not None

    on_floor(test)


STAMP = {"command_id": UUID(int=1), "at": None, "by": "test"}


def test_the_position_is_saved_after_the_fills() -> None:
    async def test(floor: Floor) -> None:
        reading, order_ids = Reading(floor), floor.client.place(3)
        for order_id in order_ids:
            reading.journal.fill(order_id)

        def check(position: ReportPosition) -> None:
            assert position == ReportPosition(SOURCE, 3)
            assert all(floor.order(order_id).phase is Phase.FILLED for order_id in order_ids)

        reading.positions.on_write = check
        await follow(reading, 5)
        assert reading.positions.position == ReportPosition(SOURCE, 3)

    on_floor(test)


def test_reading_goes_on_after_a_cut_from_where_it_was() -> None:
    async def test(floor: Floor) -> None:
        reading, order_ids = Reading(floor), floor.client.place(20)
        for order_id in order_ids:
            reading.journal.fill(order_id)
        reading.journal.cut_after = 7
        await follow(reading, 5)
        assert reading.journal.opened == [ReportPosition(), ReportPosition(SOURCE, 7)]
        assert all(floor.order(order_id).phase is Phase.FILLED for order_id in order_ids)

    on_floor(test)


def test_reading_goes_on_after_the_database_was_away() -> None:
    async def test(floor: Floor) -> None:
        reading, order_ids = Reading(floor), floor.client.place(2)
        for order_id in order_ids:
            reading.journal.fill(order_id)
        reading.positions.away = 3
        await follow(reading, 20)
        assert reading.positions.position.seq == 2
        assert all(floor.order(order_id).phase is Phase.FILLED for order_id in order_ids)

    on_floor(test)


def test_a_venue_with_another_journal_is_read_from_its_first_report() -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place()
        reading.journal.fill(order_id)
        reading.positions.position = ReportPosition("an older journal", 500)
        await follow(reading, 5)
        assert reading.positions.position == ReportPosition(SOURCE, 1)
        assert floor.order(order_id).phase is Phase.FILLED

    on_floor(test)


def test_a_batch_is_bounded_and_read_only_when_the_last_one_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_module, "REPORT_BATCH", 10)

    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place(quantity=1000)
        for _ in range(95):
            reading.journal.fill(order_id, 1)
        floor.appender.delay_s = 1.0
        await follow(reading, 4.5)
        assert reading.journal.largest == 10
        assert floor.order(order_id).filled in (40, 50)

    on_floor(test)


def test_who_does_not_own_the_reports_does_not_read_them() -> None:
    async def test(floor: Floor) -> None:
        reading, stop = Reading(floor), asyncio.Event()
        task = floor.loop.create_task(reading.reader.run(stop))
        await pass_time(10)
        assert reading.journal.opened == []
        stop.set()
        await task

    on_floor(test)
