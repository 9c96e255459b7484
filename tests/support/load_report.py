"""A load's report as one run of ten seconds might have left it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from load.run.closing import Check, Closing
from load.run.latencies import Latencies
from load.run.meter import Meter, percentiles
from load.run.report import Feed, Lives, Report, judge
from load.scenarios import OPERATIONS, Faults, Phase, Scenario, scenario_named

SECONDS = 10


def broken_for_a_while() -> Scenario:
    phases = [
        Phase(name="exchange up", seconds=4, per_second=10),
        Phase(name="exchange down", seconds=3, per_second=10, faults=Faults(outage_s=3)),
        Phase(name="exchange back", seconds=3, per_second=10),
    ]
    return msgspec.structs.replace(scenario_named("exchange-down"), phases=phases)


def load_report(*, failed: int = 0, lost: int = 0, rejected: int = 0, findings: tuple[str, ...] = ()) -> Report:
    """`failed` requests were answered 500, `lost` ones not at all, `rejected` of 20 orders the exchange would not
    have, and one check of the balance has the findings."""
    scenario = broken_for_a_while()
    meter = Meter(scenario.phases)
    for number in range(100):
        due_s = number / 10
        phase = 0 if due_s < 4 else 1 if due_s < 7 else 2
        operation = OPERATIONS[number % 5]
        meter.meant(due_s, phase)
        status = 500 if number < failed else 201 if operation == "place" else 200
        if number < 100 - lost:
            meter.answered(operation, phase, due_s, due_s + 0.004 + 0.0001 * number, status)
        else:
            meter.lost(operation, phase, due_s, due_s + 0.5, "no answer in time")
        meter.heard(due_s, 0.005)
    for second in range(SECONDS):
        meter.sampled(second + 0.5, 0, {"queued": 4 if 4 <= second < 7 else 0, "sending": 1})
    delays = Latencies()
    delays.add(0.005)
    operations = meter.operations()
    feed = Feed(sockets=5, messages=100, cuts=0, delays=percentiles(delays), curve=delays.curve())
    checks = [
        Check(name="Every accepted order is in exactly one state", looked_at="20 orders", findings=[]),
        Check(name="A repeated POST finds the same order", looked_at="3 repeated", findings=list(findings)),
    ]
    states = {"filled": 20 - rejected, "rejected": rejected}
    balance = Closing(sent=20, accepted=20, refused={}, unanswered=0, states=states, checks=checks)
    return Report(
        at=datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
        name="exchange-down",
        scenario=scenario,
        base_url="http://127.0.0.1:8000",
        own=True,
        run="load-1",
        machine={"processor": "one of <many>", "python": "3.11"},
        took_s=12.0,
        requests=scenario.requests,
        never_sent=0,
        operations=operations,
        phases=meter.phases(),
        seconds=meter.seconds(),
        feed=feed,
        lives=Lives(placed=percentiles(delays), filled=percentiles(delays)),
        settled_s=1.0,
        waited_s=2.0,
        unfilled=0,
        balance=balance,
        verdicts=judge(scenario, operations, requests=100, never_sent=0, feed=feed, settled_s=1.0, balance=balance),
    )
