"""`make bench-rebuild`: what clients notice while the query tables are rebuilt.

A log of whole order histories is written and followed first. Then an API and a projector process of the product answer
a steady open-loop load of lists, single orders, trades and new orders, in rounds without and with `orders replay`
beside them, in turns. The ratio of the p99 is taken within each pair of rounds. Client, API, projector, PostgreSQL
(fsync on) and the rebuild share the cores; nothing is pinned.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import msgspec
import psycopg
from msgspec import Struct

from load.bench import BODY, REPORTS, machine, number_from, spread
from load.http_client import Answer, post, request
from load.log_histories import fill_log
from load.open_loop import OpenLoop, Phase
from load.servers import HOST, Server, ServerFailed, embedded_database, order_api, temporary_folder
from orders.eventstore.postgres import PostgresEventStore
from projections.registry import PROJECTIONS

READS, WRITES = "reads", "writes"
FOLLOW_S = 900.0  # for the projector to come to the end of the log first
POLL_S = 0.5
STOP_S = 15.0
CONNECTIONS = 32
KEPT_IDS = 2_000  # orders of our own that are read again


class Plan(Struct, frozen=True, kw_only=True):
    events: int = 200_000
    rounds: int = 5  # pairs
    seconds: float = 20.0  # of one round
    reads_per_s: float = 80.0
    writes_per_s: float = 20.0
    fast: bool = False


class Measured(Struct, frozen=True, kw_only=True):
    """One kind of request in one round."""

    p50_ms: float
    p99_ms: float
    worst_ms: float
    answers: dict[str, int]


class Pair(Struct, frozen=True, kw_only=True):
    """A round without a rebuild, the next one with; by kind of request. `rebuilt_events` were filled meanwhile."""

    without: dict[str, Measured]
    with_rebuild: dict[str, Measured]
    rebuilt_events: int

    def ratio(self, kind: str) -> float:
        return self.with_rebuild[kind].p99_ms / self.without[kind].p99_ms


class Report(Struct, frozen=True, kw_only=True):
    at: datetime
    machine: dict[str, str]
    plan: Plan
    pairs: list[Pair]


def main(arguments: Sequence[str] | None = None) -> int:
    plan, folder = _read(arguments)
    try:
        report = asyncio.run(measure(plan))
    except ServerFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(report))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rebuild-{report.at:%Y%m%dT%H%M%SZ}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    print(f"\nwritten to {path}")
    return 0


def _read(arguments: Sequence[str] | None) -> tuple[Plan, Path]:
    plan = Plan()
    parser = argparse.ArgumentParser(
        prog="make bench-rebuild", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--events", type=number_from(int, 1_000, 100_000_000), default=plan.events)
    parser.add_argument("--rounds", type=number_from(int, 1, 100), default=plan.rounds, help="pairs of rounds")
    parser.add_argument("--seconds", type=number_from(float, 1, 3_600), default=plan.seconds, help="of one round")
    parser.add_argument("--reads", type=number_from(float, 1, 10_000), default=plan.reads_per_s, help="a second")
    parser.add_argument("--writes", type=number_from(float, 1, 10_000), default=plan.writes_per_s, help="a second")
    parser.add_argument("--fast", action="store_true", help="let the rebuild take all it gets")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of the JSON report")
    given = parser.parse_args(arguments)
    plan = Plan(
        events=given.events,
        rounds=given.rounds,
        seconds=given.seconds,
        reads_per_s=given.reads,
        writes_per_s=given.writes,
        fast=given.fast,
    )
    return plan, given.reports


async def measure(plan: Plan) -> Report:
    """Raises ServerFailed."""
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        url = running.enter_context(embedded_database(folder))
        store = PostgresEventStore(url)
        fill_log(store, plan.events)
        store.close()
        settings = {**os.environ, "DATABASE_URL": url, "ORDERS_DATA_DIR": str(folder)}
        running.enter_context(_projector(folder, settings))
        _wait_until_followed(url)
        server = running.enter_context(order_api(folder, url))
        load = _Load(server, plan)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop.run()) for loop in load.loops.values()]
            await load.phase(plan.seconds / 2)  # connections, statements prepared, orders of our own
            pairs = [await _pair(load, plan, settings) for _ in range(plan.rounds)]
            for task in tasks:
                task.cancel()
    return Report(at=datetime.now(UTC), machine=machine(), plan=plan, pairs=pairs)


class _Load:
    """Lists, single orders and trades in turn; and orders that are placed, whose ids are read later."""

    def __init__(self, server: Server, plan: Plan) -> None:
        self._host = f"{HOST}:{server.port}"
        self._ids: list[str] = []
        self.loops = {
            READS: self._loop(server, plan.reads_per_s, self._read),
            WRITES: self._loop(server, plan.writes_per_s, lambda number: post(self._host, "/orders", BODY)),
        }

    def _loop(self, server: Server, per_second: float, next_request: Callable[[int], bytes]) -> OpenLoop:
        return OpenLoop(
            HOST,
            server.port,
            per_second=per_second,
            connections=CONNECTIONS,
            next_request=next_request,
            on_answer=self._keep,
        )

    def _read(self, number: int) -> bytes:
        paths = ["/orders?limit=100", "/trades?limit=100", "/orders?limit=20&status=Placed"]
        if self._ids:
            paths.append(f"/orders/{self._ids[number % len(self._ids)]}")
        return request("GET", self._host, paths[number % len(paths)])

    def _keep(self, number: int, answer: Answer) -> None:
        if answer.status == 201 and len(self._ids) < KEPT_IDS:
            self._ids.append(msgspec.json.decode(answer.body)["id"])

    async def phase(self, seconds: float) -> dict[str, Measured]:
        phases = {kind: loop.begin(kind) for kind, loop in self.loops.items()}
        await asyncio.sleep(seconds)
        return {kind: _measured(phase) for kind, phase in phases.items()}


def _measured(phase: Phase) -> Measured:
    return Measured(
        p50_ms=phase.percentile_ms(50),
        p99_ms=phase.percentile_ms(99),
        worst_ms=phase.worst_ms,
        answers=dict(phase.answers),
    )


async def _pair(load: _Load, plan: Plan, settings: Mapping[str, str]) -> Pair:
    without = await load.phase(plan.seconds)
    with _replaying(plan, settings) as filled:
        with_rebuild = await load.phase(plan.seconds)
    return Pair(without=without, with_rebuild=with_rebuild, rebuilt_events=filled[0])


@contextmanager
def _replaying(plan: Plan, settings: Mapping[str, str]) -> Iterator[list[int]]:
    """`orders replay`, again and again until the end of the block; then how many events it has filled."""
    command = [sys.executable, "-m", "order_service", "replay", "--yes", "--json", *(["--fast"] if plan.fast else [])]
    filled, running, over = [0], list[subprocess.Popen[bytes]](), Event()

    def repeat() -> None:
        while not over.is_set():
            replay = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            running[:] = [replay]
            filled[0] += filled_events(replay.communicate()[0])

    thread = Thread(target=repeat)
    thread.start()
    try:
        yield filled
    finally:
        over.set()
        for replay in running:
            replay.send_signal(signal.SIGINT)  # the next one goes on where it was
        thread.join(STOP_S)


def filled_events(lines: bytes) -> int:
    """Of what `orders replay --json` printed: the events of rebuilds that ended, and of the one that was stopped."""
    done = 0
    first: dict[str, int] = {}
    under_way: dict[str, int] = {}
    for line in lines.splitlines():
        told = msgspec.json.decode(line)
        name = told["projection"]
        if told["type"] == "done":
            done += told["events"]
            under_way.pop(name, None)
        else:
            under_way[name] = told["position"] - first.setdefault(name, told["position"])
    return done + sum(under_way.values())


@contextmanager
def _projector(folder: Path, settings: Mapping[str, str]) -> Iterator[None]:
    with (folder / "projector.log").open("wb") as out:
        command = [sys.executable, "-m", "order_service", "projector"]
        process = subprocess.Popen(command, env=settings, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_S)


def _wait_until_followed(url: str) -> None:
    give_up_at = time.monotonic() + FOLLOW_S
    names = [projection.name for projection in PROJECTIONS]
    behind = """
        select count(*) from unnest(%s::text[]) as asked (name)
        left join follower_checkpoint using (name)
        where coalesce(position, 0) < (select max(notification_id) from order_events)
    """
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(behind, [names]).fetchone() != (0,):
            if time.monotonic() > give_up_at:
                raise ServerFailed("the projector did not come to the end of the log")
            time.sleep(POLL_S)


def table(report: Report) -> str:
    lines = [
        f"{'round':<8}{'kind':<8}{'without p50':>12}{'p99':>8}{'with p50':>10}{'p99':>8}{'ratio':>7}{'events/s':>10}"
    ]
    for number, pair in enumerate(report.pairs, 1):
        for kind in (READS, WRITES):
            one, other = pair.without[kind], pair.with_rebuild[kind]
            lines.append(
                f"{number:<8}{kind:<8}{one.p50_ms:>12.1f}{one.p99_ms:>8.1f}{other.p50_ms:>10.1f}{other.p99_ms:>8.1f}"
                f"{pair.ratio(kind):>7.2f}{pair.rebuilt_events / report.plan.seconds:>10,.0f}"
            )
    for kind in (READS, WRITES):
        ratios = [pair.ratio(kind) for pair in report.pairs]
        low, middle, high = spread(ratios)
        lines.append(f"p99 of {kind}, with / without: median {middle:.2f}, quartiles {low:.2f} to {high:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
