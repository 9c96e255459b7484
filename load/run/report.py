"""The report of a load, as JSON has it and as the page shows it; and whether what was promised holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from load.run.closing import Closing
from load.run.latencies import Curve
from load.run.meter import OperationResult, Percentiles, PhaseResult, Second
from load.run.users import ROUTES
from load.scenarios import Scenario

FORMAT = 1


class Verdict(Struct, frozen=True, kw_only=True):
    """A threshold: `found` and `bound` are in `unit`."""

    name: str
    found: float
    bound: float
    at_most: bool
    unit: str

    @property
    def holds(self) -> bool:
        return self.found <= self.bound if self.at_most else self.found >= self.bound


class Feed(Struct, frozen=True, kw_only=True):
    """`cuts`: connections that were lost and resumed."""

    sockets: int
    messages: int
    cuts: int
    delays: Percentiles
    curve: Curve


class Lives(Struct, frozen=True, kw_only=True):
    """From acceptance to the exchange's word and to the complete fill, by the service's own times."""

    placed: Percentiles
    filled: Percentiles


class Report(Struct, frozen=True, kw_only=True):
    """`settled_s` is how long orders went on waiting for the exchange after the last phase; None: longer than was
    waited for. `unfilled` market orders were not done when we stopped waiting for them."""

    format: int = FORMAT
    at: datetime
    name: str
    scenario: Scenario
    base_url: str
    own: bool
    run: str
    machine: dict[str, str]
    took_s: float
    requests: int
    never_sent: int
    operations: list[OperationResult]
    phases: list[PhaseResult]
    seconds: list[Second]
    feed: Feed
    lives: Lives
    settled_s: float | None
    waited_s: float
    unfilled: int
    balance: Closing
    verdicts: list[Verdict]

    @property
    def passed(self) -> bool:
        return self.balance.closes and all(verdict.holds for verdict in self.verdicts)


def judge(
    scenario: Scenario,
    operations: Sequence[OperationResult],
    *,
    requests: int,
    never_sent: int,
    feed: Feed,
    settled_s: float,
    balance: Closing,
) -> list[Verdict]:
    """Every threshold of the scenario. An operation that was not asked for has none."""
    bounds = scenario.thresholds
    asked = {one.operation: one for one in operations if one.requests}
    answered = sum(one.answered for one in operations)
    rejected = balance.states.get("rejected", 0)
    failed = never_sent + sum(one.failed for one in operations)
    verdicts = [
        _most(f"p99 of {ROUTES[name]}", asked[name].latencies.p99_ms, bound, "ms")
        for name, bound in bounds.p99_ms.items()
        if name in asked
    ]
    verdicts += [
        _most("failed requests", 100 * failed / max(1, requests), 100 * bounds.failed_share, "%"),
        Verdict(
            name="answered of what was meant to leave",
            found=100 * answered / max(1, requests),
            bound=100 * bounds.answered_share,
            at_most=False,
            unit="%",
        ),
        _most("p99 of the feed's delay", feed.delays.p99_ms, bounds.feed_p99_ms, "ms"),
        _most("until no order waits for the exchange", settled_s, bounds.settled_s, "s"),
        _most(
            "orders that the exchange rejected",
            100 * rejected / max(1, balance.accepted),
            100 * bounds.rejected_share,
            "%",
        ),
    ]
    return verdicts


def _most(name: str, found: float, bound: float, unit: str) -> Verdict:
    return Verdict(name=name, found=found, bound=bound, at_most=True, unit=unit)


def summary(report: Report) -> str:
    """For the terminal."""
    lines = [f"{report.name}: {report.requests:,} requests meant to leave in {report.scenario.seconds:g} s"]
    lines.append(f"{'':10}{'requests':>10}{'failed':>8}{'p50 ms':>10}{'p90 ms':>10}{'p99 ms':>10}{'worst ms':>10}")
    for one in report.operations:
        times = one.latencies
        lines.append(
            f"{one.operation:10}{one.requests:>10,}{one.failed:>8,}{times.p50_ms:>10.1f}{times.p90_ms:>10.1f}"
            f"{times.p99_ms:>10.1f}{times.worst_ms:>10.1f}"
        )
    delays = report.feed.delays
    lines.append(
        f"feed      {report.feed.messages:>10,}{'':8}{delays.p50_ms:>10.1f}{delays.p90_ms:>10.1f}"
        f"{delays.p99_ms:>10.1f}{delays.worst_ms:>10.1f}"
    )
    lines += ["", str(report.balance), ""]
    for verdict in report.verdicts:
        relation = "at most" if verdict.at_most else "at least"
        lines.append(
            f"{'ok    ' if verdict.holds else 'MISSED'} {verdict.name}: {verdict.found:,.2f} {verdict.unit}, "
            f"{relation} {verdict.bound:g} {verdict.unit}"
        )
    if report.unfilled:
        lines.append(f"{report.unfilled:,} market orders not filled when the run ended")
    return "\n".join(lines)
