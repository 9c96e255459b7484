"""`make bench`: POST /orders, durable, against a bare echo of the same body on the same server.

The two are measured in turns, so that a machine that becomes slower slows both; the ratio is taken within each pair of
rounds. Nothing is pinned: client, API and PostgreSQL share the cores as they do for a user. The echo does not read
what it decodes and stores nothing, so that 1.0 would mean that durability and the rules cost nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from load.http_client import Round, closed_loop, post
from load.results import conclude
from load.servers import HOST, Server, echo, embedded_database, order_api, temporary_folder

REPORTS = Path(__file__).parent / "reports"
WARM_UP_SHARE = 0.5  # of a round, before the first: imports, connections, statements prepared
OPEN_FILES_SPARE = 100  # of the process's bound, for what is no connection
BODY = json.dumps({"symbol": "EURUSD", "quantity": 10, "side": "buy"}).encode()
EXPECTED = {201}


class Plan(Struct, frozen=True, kw_only=True):
    rounds: int = 5
    seconds: float = 3.0
    connections: int = 64


class Measured(Struct, frozen=True, kw_only=True):
    """One round of one server. Latencies in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    answers: int
    unexpected: dict[str, int]


class Report(Struct, frozen=True, kw_only=True):
    at: datetime
    machine: dict[str, str]
    plan: Plan
    durable: list[Measured]
    echo: list[Measured]
    ratios: list[float]  # durable / echo of each pair of rounds


def main(arguments: Sequence[str] | None = None) -> int:
    plan, folder = _read(arguments)
    require_open_files(plan.connections)
    report = conclude(lambda: asyncio.run(measure(plan)), table, folder, "bench")
    return 1 if report is None or any(one.unexpected for one in (*report.durable, *report.echo)) else 0


def _read(arguments: Sequence[str] | None) -> tuple[Plan, Path]:
    default = Plan()
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=number_from(int, 1, 1000), default=default.rounds, help="pairs of rounds")
    parser.add_argument("--seconds", type=number_from(float, 0.05, 600), default=default.seconds, help="of one round")
    parser.add_argument("--connections", type=number_from(int, 1, 10_000), default=default.connections)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the JSON report")
    given = parser.parse_args(arguments)
    return Plan(rounds=given.rounds, seconds=given.seconds, connections=given.connections), given.reports


def number_from(kind: Callable[[str], float], low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    return read


def require_open_files(connections: int) -> None:
    """Ends with one line where the connections do not fit the process's bound of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connections + OPEN_FILES_SPARE > soft:
        raise SystemExit(f"error: {connections} connections do not fit {soft} open files (ulimit -n)")


async def measure(plan: Plan) -> Report:
    """Raises ServerFailed."""
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        url = running.enter_context(embedded_database(folder))
        durable = running.enter_context(order_api(folder, url))
        bare = running.enter_context(echo(folder))
        for server in (durable, bare):
            await run(server, plan, plan.seconds * WARM_UP_SHARE)
        pairs = [(await run(durable, plan), await run(bare, plan)) for _ in range(plan.rounds)]
    return Report(
        at=datetime.now(UTC),
        machine=machine(),
        plan=plan,
        durable=[summary(one) for one, _ in pairs],
        echo=[summary(other) for _, other in pairs],
        ratios=[one.per_second / other.per_second if other.latencies_s else 0.0 for one, other in pairs],
    )


async def run(server: Server, plan: Plan, seconds: float | None = None) -> Round:
    request = post(f"{HOST}:{server.port}", "/orders", BODY)
    return await closed_loop(
        HOST, server.port, lambda: request, connections=plan.connections, seconds=seconds or plan.seconds
    )


def summary(measured: Round) -> Measured:
    latencies = sorted(measured.latencies_s) or [0.0]
    unexpected = {str(status): count for status, count in measured.statuses.items() if status not in EXPECTED}
    return Measured(
        per_second=measured.per_second,
        p50_ms=_at(latencies, 0.5) * 1000,
        p99_ms=_at(latencies, 0.99) * 1000,
        worst_ms=latencies[-1] * 1000,
        answers=len(measured.latencies_s),
        unexpected={**unexpected, **measured.failures},
    )


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile (all three the value itself where there is one)."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def table(report: Report) -> str:
    plan = report.plan
    turns = f"{plan.rounds} x 2 rounds of {plan.seconds:g} s in turns"
    lines = [
        f"POST /orders: {turns}, {plan.connections} connections, unpinned",
        f"{'':24}{'lower quartile':>16}{'median':>12}{'upper quartile':>16}",
    ]
    for name, rounds in (("durable", report.durable), ("bare echo", report.echo)):
        lines.append(_line(f"{name}, answers/s", [one.per_second for one in rounds], ".0f"))
        lines.append(_line(f"{name}, p50 ms", [one.p50_ms for one in rounds], ".1f"))
        lines.append(_line(f"{name}, p99 ms", [one.p99_ms for one in rounds], ".1f"))
    lines.append(_line("durable / bare echo", report.ratios, ".2f"))
    for name, rounds in (("durable", report.durable), ("bare echo", report.echo)):
        lines += [f"{name}: unexpected {one.unexpected}" for one in rounds if one.unexpected]
    return "\n".join(lines)


def _line(name: str, values: Sequence[float], form: str) -> str:
    low, middle, high = (format(value, form) for value in spread(values))
    return f"{name:24}{low:>16}{middle:>12}{high:>16}"


def machine() -> dict[str, str]:
    names = ("order-service", "litestar", "granian", "psycopg", "msgspec")
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
        **{name: version(name) for name in names},
    }


if __name__ == "__main__":
    raise SystemExit(main())
