"""The exchange is down, then hangs, under a steady load, in its shortest form: what comes of the orders, not how fast.
The long form is `make bench-outage`."""

from __future__ import annotations

import asyncio

from load.outage import Plan, measure

PLAN = Plan(
    per_second=30,
    connections=8,
    capacity=300,
    pairs=1,
    healthy_s=1.0,
    down_s=1.5,
    hanging_s=1.5,
    outage_s=0.0,
    call_timeout_s=0.5,
    warm_up_s=0.5,
    capacity_s=0.3,
    change_pause_s=0.2,
    cancels_in_doubt=False,
)


def test_orders_are_taken_while_the_exchange_is_down_or_hangs_and_placed_once_in_order_afterwards() -> None:
    report = asyncio.run(measure(PLAN))
    assert report.findings == []
    assert {phase.name for phase in report.phases} >= {"healthy", "down", "hanging", "after down", "after hanging"}
    assert all(phase.orders and not phase.unexpected for phase in report.phases if not phase.name.startswith("after"))
    drains = [pair.drain for pair in report.pairs if pair.drain is not None]
    assert [drain.backlog > 20 and drain.began_s >= 0 for drain in drains] == [True, True]
    assert report.changes.get("PUT 202", 0) + report.changes.get("DELETE 202", 0) > 0
    assert report.states["filled"] > 80
