"""`make bench-outage`: a steady load of orders while the exchange is down, then hangs, in turns with a healthy one.

Every POST must be a 201, with a latency like that at a healthy exchange: the p99 of a fault's phase is compared with
that of the healthy phase before it. Afterwards every order must be placed once, its changes in the order in which they
were accepted, and what came together must be worked off nearly as fast as the exchange can. The exchange has a
capacity in all phases; what it really works off is measured beside, with a plain client.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from load.durable_post import require_open_files
from load.open_loop import ServerGone
from load.outage_balance import settled_findings
from load.outage_run import Desk, Drain, Fault, Measured, NotDrained, Pair
from load.resting_orders import Changes
from load.results import arguments_of, machine, number_from, spread, write
from load.servers import HOST, ServerFailed, temporary_folder, whole_service
from load.venue_capacity import measured_capacity

MOST_P99_RATIO = 1.25
LEAST_DRAIN_SHARE = 0.8
FILL_DELAY = "0.1-0.5"
FAULTS: tuple[Fault, ...] = ("down", "hanging")


class Plan(Struct, frozen=True, kw_only=True):
    """Times in seconds. Each pair is a healthy phase and one of a fault; `outage_s` is one long outage at the end."""

    per_second: float = 100.0
    connections: int = 64
    capacity: int = 300
    pairs: int = 5
    healthy_s: float = 60.0
    down_s: float = 60.0
    hanging_s: float = 120.0
    outage_s: float = 600.0
    call_timeout_s: float = 10.0
    change_pause_s: float = 2.0  # of each client that changes orders: so rarely that it hardly adds to the load
    cancels_in_doubt: bool = True
    warm_up_s: float = 5.0
    capacity_s: float = 10.0


class Report(Struct, frozen=True, kw_only=True):
    at: datetime
    machine: dict[str, str]
    plan: Plan
    capacity: float  # measured, orders a second
    phases: list[Measured]
    pairs: list[Pair]
    accepted: int
    changes: dict[str, int]
    states: dict[str, int]
    findings: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    plan, folder = _read(arguments)
    require_open_files(plan.connections)
    try:
        report = asyncio.run(measure(plan))
    except (ServerFailed, ServerGone, NotDrained) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(report))
    print(f"\nwritten to {write(report, folder, 'outage')}")
    missed = [*report.findings, *missed_bounds(report)]
    for line in missed:
        print(f"MISSED: {line}")
    return 1 if missed else 0


def _read(arguments: Sequence[str] | None) -> tuple[Plan, Path]:
    plan = Plan()
    seconds = number_from(float, 0.1, 3600)
    parser = arguments_of("make bench-outage", __doc__)
    parser.add_argument("--per-second", type=number_from(float, 1, 2000), default=plan.per_second, help="orders")
    parser.add_argument("--connections", type=number_from(int, 1, 10_000), default=plan.connections)
    parser.add_argument("--capacity", type=number_from(int, 1, 5000), default=plan.capacity, help="of the exchange, /s")
    parser.add_argument("--pairs", type=number_from(int, 0, 100), default=plan.pairs, help="of each fault")
    parser.add_argument("--healthy-s", type=seconds, default=plan.healthy_s, help="of a healthy phase")
    parser.add_argument("--down-s", type=seconds, default=plan.down_s, help="of an outage")
    parser.add_argument("--hanging-s", type=seconds, default=plan.hanging_s, help="of a phase without answers")
    parser.add_argument(
        "--outage-s", type=number_from(float, 0, 3600), default=plan.outage_s, help="of one long outage"
    )
    parser.add_argument("--call-timeout-s", type=seconds, default=plan.call_timeout_s, help="VENUE_CALL_TIMEOUT_S")
    given = vars(parser.parse_args(arguments))
    folder: Path = given.pop("folder")
    return Plan(**given), folder


async def measure(plan: Plan) -> Report:
    """Raises ServerFailed, ServerGone, NotDrained."""
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        capacity = await measured_capacity(folder / "plain", plan.capacity, plan.capacity_s)
        settings = {"EXCHANGE_FILL_DELAY": FILL_DELAY, "VENUE_CALL_TIMEOUT_S": f"{plan.call_timeout_s:g}"}
        service = running.enter_context(whole_service(folder, **settings))
        exchange = folder / "data" / "exchange"
        changes = Changes(
            HOST, service.port, seed=1, pause_s=plan.change_pause_s, cancels_in_doubt=plan.cancels_in_doubt
        )
        desk = Desk(
            service.port,
            exchange,
            changes,
            per_second=plan.per_second,
            connections=plan.connections,
            capacity=plan.capacity,
        )
        await desk.start()
        try:
            pairs = await _phases(desk, plan)
        finally:
            await desk.stop()
        states, findings = await asyncio.to_thread(settled_findings, service.port, desk)
    return Report(
        at=datetime.now(UTC),
        machine=machine(),
        plan=plan,
        capacity=capacity,
        phases=desk.measured,
        pairs=pairs,
        accepted=len(desk.accepted),
        changes=dict(desk.changes.answers),
        states=dict(states),
        findings=[*_unexpected(desk.measured), *findings],
    )


async def _phases(desk: Desk, plan: Plan) -> list[Pair]:
    await desk.measure("warm-up", plan.warm_up_s)
    seconds = {"down": plan.down_s, "hanging": plan.hanging_s}
    pairs = [await desk.pair(fault, plan.healthy_s, seconds[fault]) for _ in range(plan.pairs) for fault in FAULTS]
    if plan.outage_s:
        pairs.append(await desk.pair("down", plan.healthy_s, plan.outage_s))
    return pairs


def _unexpected(phases: Sequence[Measured]) -> list[str]:
    answers: Counter[str] = Counter()
    for phase in phases:
        answers.update({f"{phase.name}: {answer}": count for answer, count in phase.unexpected.items()})
    return [f"POST answered otherwise than 201: {answer} ({count} times)" for answer, count in answers.items()]


def missed_bounds(report: Report) -> list[str]:
    """Where latency or drain are worse than promised."""
    missed = []
    for name, ratios in _ratios(report).items():
        if (median := spread(ratios)[1]) > MOST_P99_RATIO:
            missed.append(f"p99 {name} is {median:.2f} of that at a healthy exchange, at most {MOST_P99_RATIO}")
    for drain in _drains(report):
        if (share := drain.per_second / report.capacity) < LEAST_DRAIN_SHARE:
            missed.append(f"after {_name(drain)} the drain had {share:.2f} of the capacity, not {LEAST_DRAIN_SHARE}")
    return missed


def _ratios(report: Report) -> dict[str, list[float]]:
    told: dict[str, list[float]] = {}
    for pair in report.pairs:
        told.setdefault(_kind(report, pair), []).append(pair.ratio)
    return told


def _kind(report: Report, pair: Pair) -> str:
    """The long outage is a kind of its own."""
    long = report.plan.outage_s and pair is report.pairs[-1]
    return f"{pair.broken.name} for {report.plan.outage_s:g} s" if long else pair.broken.name


def _drains(report: Report) -> list[Drain]:
    return [pair.drain for pair in report.pairs if pair.drain is not None]


def _name(drain: Drain) -> str:
    return f"{drain.fault_s:g} s {drain.fault}"


def table(report: Report) -> str:
    """As docs/reliability.md holds it."""
    plan = report.plan
    lines = [
        f"{plan.per_second:g} orders/s, {report.accepted:,} accepted, {plan.connections} connections; "
        f"the exchange works off {report.capacity:.0f}/s (asked for {plan.capacity})",
        "",
        "| p99, ms | healthy before | fault | ratio: lower quartile | median | upper quartile |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind, ratios in _ratios(report).items():
        pairs = [pair for pair in report.pairs if _kind(report, pair) == kind]
        healthy = spread([pair.healthy.p99_ms for pair in pairs])[1]
        broken = spread([pair.broken.p99_ms for pair in pairs])[1]
        low, median, high = spread(ratios)
        lines.append(
            f"| {kind} ({len(pairs)} x) | {healthy:.1f} | {broken:.1f} | {low:.2f} | {median:.2f} | {high:.2f} |"
        )
    lines += ["", "| drain after | backlog | began after | orders/s | of the capacity | p99 of POST, ms |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    lines += [_drain_line(drain, report.capacity) for drain in _drains(report)]
    changes = ", ".join(f"{count:,} {answer}" for answer, count in sorted(report.changes.items()))
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(report.states.items()))
    return "\n".join([*lines, "", f"changes: {changes}", f"orders: {states}", *report.findings])


def _drain_line(drain: Drain, capacity: float) -> str:
    share = drain.per_second / capacity
    return (
        f"| {_name(drain)} | {drain.backlog:,} | {drain.began_s:.1f} s | {drain.per_second:.0f} | {share:.2f} "
        f"| {drain.p99_ms:.1f} |"
    )


if __name__ == "__main__":
    raise SystemExit(main())
