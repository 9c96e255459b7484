"""What one order costs each part of the service, in CPU time: `make bench-cost`.

The whole service runs as `orders up` starts it. Market orders are placed for some seconds and followed to their end:
each is accepted, placed at the simulated exchange, filled, and shown in every query table (four events). What each
process used meanwhile, less what it uses when nothing happens, is divided by the orders. CPU time, unlike a rate, says
how many cores a number of orders a second will take; it still depends on the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
import psutil
from msgspec import Struct

from load.durable_post import BODY
from load.http_client import closed_loop, post
from load.results import arguments_of, conclude, machine, number_from, spread
from load.servers import HOST, Server, ServerFailed, temporary_folder, whole_service

PARTS = ("api", "projector", "adapter", "exchange")
DATABASE = "PostgreSQL"
CONNECTIONS = 16
IDLE_S = 4.0
ENDED_S = 300.0  # for all orders to be filled
LOOK_S = 0.1


class Plan(Struct, frozen=True, kw_only=True):
    rounds: int = 5
    seconds: float = 5.0


class Cost(Struct, frozen=True, kw_only=True):
    """CPU time an order in microseconds, by part."""

    orders: int
    microseconds: dict[str, float]


class Report(Struct, frozen=True, kw_only=True):
    at: datetime
    machine: dict[str, str]
    plan: Plan
    rounds: list[Cost]


def main(arguments: Sequence[str] | None = None) -> int:
    default = Plan()
    parser = arguments_of("make bench-cost", __doc__)
    parser.add_argument("--rounds", type=number_from(int, 1, 100), default=default.rounds)
    parser.add_argument("--seconds", type=number_from(float, 0.2, 600), default=default.seconds, help="of placing")
    given = parser.parse_args(arguments)
    plan = Plan(rounds=given.rounds, seconds=given.seconds)
    return 1 if conclude(lambda: measure(plan), table, given.folder, "cost") is None else 0


def measure(plan: Plan) -> Report:
    """Raises ServerFailed."""
    with temporary_folder() as folder, whole_service(folder, EXCHANGE_FILL_DELAY="0") as service:
        _round(service, min(1.0, plan.seconds))  # imports, connections, statements prepared
        rounds = [_round(service, plan.seconds) for _ in range(plan.rounds)]
    return Report(at=datetime.now(UTC), machine=machine(), plan=plan, rounds=rounds)


def _round(service: Server, seconds: float) -> Cost:
    idle = _used(service)
    time.sleep(IDLE_S)
    before = _used(service)
    began = time.monotonic()
    request = post(f"{HOST}:{service.port}", "/orders", BODY)
    placed = asyncio.run(
        closed_loop(HOST, service.port, lambda: request, connections=CONNECTIONS, seconds=seconds)
    ).statuses
    _wait_until_ended(service)
    elapsed = time.monotonic() - began
    after = _used(service)
    orders = placed.get(201, 0)
    if orders == 0 or set(placed) != {201}:
        raise ServerFailed(f"orders were not accepted: {placed}")
    spent = {part: after[part] - before[part] - (before[part] - idle[part]) * elapsed / IDLE_S for part in after}
    return Cost(orders=orders, microseconds={part: used / orders * 1e6 for part, used in spent.items()})


def _wait_until_ended(service: Server) -> None:
    give_up_at = time.monotonic() + ENDED_S
    with httpx.Client(base_url=f"http://{HOST}:{service.port}", trust_env=False, timeout=30) as client:
        while client.get("/orders", params={"status": "Placed", "limit": 1}).json():
            if time.monotonic() > give_up_at:
                raise ServerFailed(f"orders are not filled after {ENDED_S:g} s")
            time.sleep(LOOK_S)


def _used(service: Server) -> defaultdict[str, float]:
    """CPU seconds of each part so far; the database's with those of its backends that have ended."""
    used: defaultdict[str, float] = defaultdict(float)
    for process in psutil.Process(service.pid).children(recursive=True):
        try:
            part, times = _part_of(process), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        if part is not None:
            used[part] += times.user + times.system
        if part == DATABASE:
            used[part] += times.children_user + times.children_system
    return used


def _part_of(process: psutil.Process) -> str | None:
    if process.name() == "postgres":
        return DATABASE
    for one in (process, *process.parents()):
        if one.cmdline()[-1:] and one.cmdline()[-1] in PARTS:
            return one.cmdline()[-1]
    return None


def table(report: Report) -> str:
    parts = [*PARTS, DATABASE]
    lines = [f"{'CPU time of an order, µs':28}{'lower quartile':>16}{'median':>12}{'upper quartile':>16}"]
    for part in parts:
        lines.append(_line(part, [one.microseconds.get(part, 0.0) for one in report.rounds]))
    lines.append(_line("all", [sum(one.microseconds.get(part, 0.0) for part in parts) for one in report.rounds]))
    orders = ", ".join(str(one.orders) for one in report.rounds)
    return "\n".join([*lines, f"{orders} orders, placed for {report.plan.seconds:g} s each and followed to their end"])


def _line(name: str, values: Sequence[float]) -> str:
    low, middle, high = spread(values)
    return f"{name:28}{low:>16.0f}{middle:>12.0f}{high:>16.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
