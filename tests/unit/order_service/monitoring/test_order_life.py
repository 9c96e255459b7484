"""What /metrics tells of orders is what the log says, each once."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from order_service.monitoring import order_life
from order_service.monitoring.order_life import STAGES, OrderLife
from orders.domain import commands as c
from orders.domain.values import Evidence
from tests.support.order_lives import CLIENT, OPERATOR, Life, accepted, at_exchange, filled, in_doubt, parked, sent

EXECUTION: dict[str, Any] = {"exec_id": "e1", "quantity": 10, "price": Decimal("1.1")}


class Shown:
    """The metrics of a process that saw these lives."""

    def __init__(self, *lives: Life) -> None:
        self.registry = CollectorRegistry()
        self.life = OrderLife(self.registry)
        for life in lives:
            self.life.see(life.recorded)

    def __getitem__(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"orders_{name}")

    @property
    def stages(self) -> dict[str, float]:
        """Those that an order came to."""
        values = {stage: self.registry.get_sample_value("orders_life_total", {"stage": stage}) for stage in STAGES}
        assert None not in values.values()
        return {stage: value for stage, value in values.items() if value}


@pytest.mark.parametrize(
    ("life", "stages"),
    [
        (accepted, {"accepted": 1}),
        (sent, {"accepted": 1}),
        (at_exchange, {"accepted": 1, "placed": 1}),
        (filled, {"accepted": 1, "placed": 1, "executed": 1}),
        (in_doubt, {"accepted": 1, "in_doubt": 1}),
        (parked, {"accepted": 1, "parked": 1}),
        (
            lambda: parked().then(1, c.ResumePlacement, OPERATOR, reason="mended"),
            {"accepted": 1, "parked": 1, "resumed": 1},
        ),
        (lambda: accepted().then(1, c.CancelOrder, CLIENT), {"accepted": 1, "canceled": 1}),
        (lambda: sent().then(1, c.RecordRejected, attempt=1, reason="no"), {"accepted": 1, "rejected": 1}),
        (lambda: at_exchange().then(1, c.RecordExpired), {"accepted": 1, "placed": 1, "expired": 1}),
    ],
)
def test_each_stage_of_an_order_is_counted(life: Callable[[], Life], stages: dict[str, float]) -> None:
    assert Shown(life()).stages == stages


@pytest.mark.parametrize(
    "proven",
    [
        lambda: in_doubt().then(1, c.RecordExecution, **EXECUTION),
        lambda: in_doubt().then(1, c.ResolveDoubt, OPERATOR, placed=True, reason="they read it to me"),
        lambda: in_doubt().then(1, c.RecordAccepted, evidence=Evidence.VENUE_QUERY),
    ],
)
def test_whatever_proves_that_the_exchange_has_it_makes_it_placed_once(proven: Callable[[], Life]) -> None:
    life = proven().then(1, c.RecordAccepted, venue_order_id="V-7")
    assert Shown(life).stages["placed"] == 1
    assert Shown(life)["time_to_place_seconds_count"] == 1


def test_the_times_count_from_the_acceptance() -> None:
    shown = Shown(filled())
    assert shown["time_to_place_seconds_sum"] == pytest.approx(0.51)
    assert shown["time_to_fill_seconds_sum"] == pytest.approx(5.51)
    by_bound = [
        shown.registry.get_sample_value("orders_time_to_place_seconds_bucket", {"le": le}) for le in ("0.5", "1.0")
    ]
    assert by_bound == [0, 1]


def test_fills_are_counted_and_the_last_one_completes() -> None:
    first = at_exchange().then(1, c.RecordExecution, **{**EXECUTION, "quantity": 4})
    both = first.then(1, c.RecordExecution, **{**EXECUTION, "exec_id": "e2", "quantity": 6})
    shown = Shown(both)
    assert (shown["fills_total"], shown.stages["executed"], shown["time_to_fill_seconds_count"]) == (2, 1, 1)


def test_a_fill_that_ends_a_replace_too_completes_the_order_once() -> None:
    asked = at_exchange().then(1, c.ReplaceOrder, CLIENT, quantity=20)
    filled_now = asked.then(1, c.RecordExecution, **EXECUTION, leaves=0)
    assert [type(one).__name__ for one in filled_now.events][-2:] == ["OrderExecuted", "ReplaceRejected"]
    assert Shown(filled_now).stages["executed"] == 1


def test_an_order_that_a_bust_reopened_is_executed_again() -> None:
    busted = filled().then(1, c.RecordBust, exec_id="b1", ref_exec_id="e1")
    again = busted.then(1, c.RecordExecution, **{**EXECUTION, "exec_id": "e2"})
    assert Shown(again).stages["executed"] == 2


def test_what_was_sent_before_the_process_began_is_not_counted_and_what_is_sent_after_it_is() -> None:
    shown = Shown()
    shown.life.see(at_exchange().recorded[2:])
    shown.life.see(at_exchange(order_id=uuid4()).recorded[1:])
    assert shown.stages == {"placed": 1}


def test_orders_on_their_way_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_life, "MOST_UNPLACED", 3)
    shown = Shown(*(accepted(uuid4()) for _ in range(10)))
    assert len(shown.life._unplaced) == 3


def test_an_order_in_flight_is_remembered_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_life, "MOST_UNPLACED", 3)
    oldest_first = [at_exchange(order_id=uuid4()).recorded for _ in range(3)]
    shown = Shown()
    for recorded in oldest_first:
        shown.life.see(recorded[:1])
    for recorded in oldest_first:
        shown.life.see(recorded[1:2])  # its call is in flight
        shown.life.see(accepted(uuid4()).recorded)
        shown.life.see(recorded[2:])
    assert (shown.stages["placed"], shown["time_to_place_seconds_count"]) == (3, 3)


def test_clocks_that_differ_give_no_negative_time() -> None:
    shown = Shown(accepted().then(-5, c.StartSubmit, worker="w").then(0, c.RecordAccepted))
    assert shown["time_to_place_seconds_sum"] == 0
