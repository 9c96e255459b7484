"""Checks a journal from the outside, without the engine: what must hold of every venue's record, and what is in it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from simulated_exchange.entries import Entry
from simulated_exchange.errors import ExchangeError
from simulated_exchange.protocol import (
    AcceptedReport,
    AnyReport,
    BustedReport,
    CanceledReport,
    CorrectedReport,
    ExpiredReport,
    FilledReport,
    RejectedReport,
    ReplacedReport,
)

MAX_FINDINGS = 20  # listed; the rest is a number


class Placed(Struct):
    """An order as its reports tell it."""

    quantity: int
    filled: int = 0
    state: str = "working"


class Audit(Struct):
    """`findings` is empty where the journal is sound."""

    entries: int = 0
    reports: int = 0
    orders: dict[str, Placed] = {}
    executions: dict[str, int] = {}
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    findings: list[str] = []

    def states(self) -> Counter[str]:
        return Counter(order.state for order in self.orders.values())


def audit(entries: Iterable[Entry]) -> Audit:
    """Every order placed once, every execution once, nothing after an end, nothing overfilled."""
    result = Audit()
    for entry in entries:
        result.entries += 1
        for report in entry.reports:
            result.reports += 1
            result.kinds[type(report).__struct_config__.tag or ""] += 1  # type: ignore[index]
            problem = _take(result, report)
            if problem is not None:
                result.findings.append(f"report {report.seq}: order {report.order_id} {problem}")
    return result


def _take(result: Audit, report: AnyReport) -> str | None:
    order = result.orders.get(report.order_id)
    if isinstance(report, AcceptedReport | RejectedReport):
        if order is not None:
            return "is placed a second time"
        state = "rejected" if isinstance(report, RejectedReport) else "working"
        result.orders[report.order_id] = Placed(report.quantity, state=state)
        return None
    if order is None:
        return "was never placed"
    match report:
        case FilledReport():
            return _take_fill(result, order, report)
        case ReplacedReport():
            order.quantity = report.quantity
            if report.leaves == 0:
                order.state = "executed"
        case CanceledReport():
            return _end(order, "canceled")
        case ExpiredReport():
            return _end(order, "expired")
        case BustedReport() | CorrectedReport():
            return _amend(result, order, report)
    return None


def _take_fill(result: Audit, order: Placed, report: FilledReport) -> str | None:
    if report.exec_id in result.executions:
        return f"has execution {report.exec_id} a second time"
    result.executions[report.exec_id] = report.quantity
    order.filled += report.quantity
    if order.state != "working":
        return f"is filled after it was {order.state}"
    if order.filled != report.filled or order.quantity - order.filled != report.leaves:
        return f"does not add up: {order.filled} of {order.quantity} filled, {report.leaves} left"
    if report.leaves == 0:
        order.state = "executed"
    return "is overfilled" if report.leaves < 0 else None


def _amend(result: Audit, order: Placed, report: BustedReport | CorrectedReport) -> str | None:
    void = result.executions.get(report.ref_exec_id)
    if report.exec_id in result.executions or not void:
        return f"has execution {report.ref_exec_id} changed, which it has not, or into one that it has"
    result.executions[report.ref_exec_id] = 0
    result.executions[report.exec_id] = report.quantity if isinstance(report, CorrectedReport) else 0
    order.filled += result.executions[report.exec_id] - void
    if order.state in ("working", "executed"):
        order.state = "working" if report.leaves else "executed"
    left = order.quantity - order.filled if order.state in ("working", "executed") else 0
    return None if (order.filled, left) == (report.filled, report.leaves) else "does not add up after a bust"


def _end(order: Placed, state: str) -> str | None:
    before, order.state = order.state, state
    return None if before == "working" else f"is {state} after it was {before}"


def cli() -> None:
    """`python -m simulated_exchange.journal FILE`: exit 0 where it is sound, 1 where not."""
    import click

    from simulated_exchange.journal import read_journal

    @click.command(help="Checks the journal of a simulated exchange and counts what is in it.")
    @click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
    def command(file: Path) -> None:
        try:
            result = audit(read_journal(file))
        except ExchangeError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        click.echo(f"{result.entries} entries, {result.reports} reports, {len(result.orders)} orders")
        for title, counts in (("orders", result.states()), ("reports", result.kinds)):
            click.echo(f"{title}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items())))
        for finding in result.findings[:MAX_FINDINGS]:
            click.echo(finding, err=True)
        if result.findings:
            click.echo(f"error: {len(result.findings)} findings", err=True)
            sys.exit(1)

    command(prog_name="python -m simulated_exchange.journal")
