"""`make bench-rebuild`: what clients notice while the query tables are rebuilt.

A log of whole order histories is written and followed first. Then an API and a projector process of the product answer
a steady open-loop load of lists, single orders, trades and new orders, in rounds without and with `orders replay`
beside them, in turns. The ratio of the p99 is taken within each pair of rounds. Client, API, projector, PostgreSQL
(fsync on) and the rebuild share the cores; nothing is pinned.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

import msgspec
import psycopg
from msgspec import Struct

from load.durable_post import BODY
from load.http_client import Answer, post, request
from load.log_histories import fill_log
from load.open_loop import OpenLoop, Phase
from load.results import Contest, Pair, arguments_of, finish, number_from
from load.servers import HOST, Server, ServerFailed, embedded_database, order_api, part, temporary_folder
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


def main(arguments: Sequence[str] | None = None) -> int:
    plan = Plan()
    parser = arguments_of("make bench-rebuild", __doc__)
    parser.add_argument("--events", type=number_from(int, 1_000, 100_000_000), default=plan.events)
    parser.add_argument("--rounds", type=number_from(int, 1, 100), default=plan.rounds, help="pairs of rounds")
    parser.add_argument("--seconds", type=number_from(float, 1, 3_600), default=plan.seconds, help="of one round")
    parser.add_argument("--reads-per-s", type=number_from(float, 1, 10_000), default=plan.reads_per_s)
    parser.add_argument("--writes-per-s", type=number_from(float, 1, 10_000), default=plan.writes_per_s)
    parser.add_argument("--fast", action="store_true", help="let the rebuild take all it gets")
    given = vars(parser.parse_args(arguments))
    folder: Path = given.pop("folder")
    plan = Plan(**given)
    return finish(plan, lambda: asyncio.run(measure(plan)), folder, "rebuild")


async def measure(plan: Plan) -> list[Contest]:
    """Raises ServerFailed."""
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        url = running.enter_context(embedded_database(folder))
        store = PostgresEventStore(url)
        fill_log(store, plan.events)
        store.close()
        settings = {**os.environ, "DATABASE_URL": url, "ORDERS_DATA_DIR": str(folder)}
        running.enter_context(part("projector", folder, settings))
        _wait_until_followed(url)
        server = running.enter_context(order_api(folder, url))
        load = _Load(server, plan)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop.run()) for loop in load.loops.values()]
            await load.phase(plan.seconds / 2)  # connections, statements prepared, orders of our own
            rounds = [await _round(load, plan, settings) for _ in range(plan.rounds)]
            for task in tasks:
                task.cancel()
    return [contest(plan, kind, rounds) for kind in (READS, WRITES)]


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

    async def phase(self, seconds: float) -> dict[str, Phase]:
        phases = {kind: loop.begin(kind) for kind, loop in self.loops.items()}
        await asyncio.sleep(seconds)
        return phases


class Round(Struct, frozen=True, kw_only=True):
    """A phase without a rebuild, the next one with, by kind of request. `rebuilt_events` were filled meanwhile."""

    without: dict[str, Phase]
    beside: dict[str, Phase]
    rebuilt_events: int


async def _round(load: _Load, plan: Plan, settings: Mapping[str, str]) -> Round:
    without = await load.phase(plan.seconds)
    with _replaying(plan, settings) as filled:
        beside = await load.phase(plan.seconds)
    return Round(without=without, beside=beside, rebuilt_events=filled[0])


def contest(plan: Plan, kind: str, rounds: Sequence[Round]) -> Contest:
    """A ratio above 1 says that the rebuild is noticed."""
    return Contest(
        name=kind,
        product="beside a rebuild",
        against="without",
        unit="p99 ms",
        setting=f"{plan.reads_per_s:g} reads and {plan.writes_per_s:g} new orders a second,"
        f" {plan.rounds} x 2 turns of {plan.seconds:g} s",
        pairs=[_pair(plan, one, kind) for one in rounds],
        notes=[f"{name}: {dict(phase.answers)}" for name, phase in _phases(kind, rounds)],
    )


def _pair(plan: Plan, one: Round, kind: str) -> Pair:
    beside, without = one.beside[kind], one.without[kind]
    figures = {
        "beside a rebuild, p50 ms": beside.percentile_ms(50),
        "without, p50 ms": without.percentile_ms(50),
        "beside a rebuild, worst ms": beside.worst_ms,
        "without, worst ms": without.worst_ms,
        "events/s rebuilt": one.rebuilt_events / plan.seconds,
    }
    return Pair(product=beside.percentile_ms(99), against=without.percentile_ms(99), figures=figures)


def _phases(kind: str, rounds: Sequence[Round]) -> Iterator[tuple[str, Phase]]:
    for one in rounds:
        yield "without", one.without[kind]
        yield "beside a rebuild", one.beside[kind]


@contextmanager
def _replaying(plan: Plan, settings: Mapping[str, str]) -> Iterator[list[int]]:
    """`orders replay`, again and again until the end of the block; then how many events it has filled."""
    command = [sys.executable, "-m", "order_service", "replay", "--yes", "--json", *(["--fast"] if plan.fast else [])]
    filled, running, over = [0], list[subprocess.Popen[bytes]](), Event()

    def repeat() -> None:
        while not over.is_set():
            replay = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
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
        if not line.startswith(b"{"):  # a word to people, on stderr
            continue
        told = msgspec.json.decode(line)
        name = told["projection"]
        if told["type"] == "done":
            done += told["events"]
            under_way.pop(name, None)
        else:
            under_way[name] = told["position"] - first.setdefault(name, told["position"])
    return done + sum(under_way.values())


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


if __name__ == "__main__":
    sys.exit(main())
