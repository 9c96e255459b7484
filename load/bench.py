"""`make bench`: the service against the limits of what it stands on, in turns, with medians and quartiles.

post     durable POST /orders against a bare echo of the same body
batch    POST /orders/batch against binary COPY of the same rows
feed     /ws against a bare broadcast
growth   appending at 1,000,000 events against appending at 10,000
replay   query tables that catch up with a log against raw copies of its rows

Client, service and PostgreSQL share the cores, nothing is pinned. `make bench ARGS='--only batch'` runs one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from load import append_growth, batch_rate, catch_up, durable_post, fan_out
from load.results import Contest, arguments_of, finish, number_from
from load.servers import Stage, api_stage

REPLAYED = ("order_status", catch_up.ALL)
"""`make bench-replay` has each projection alone, and a longer log."""


class Plan(Struct, frozen=True, kw_only=True):
    only: tuple[str, ...] = ()
    rounds: int = 5
    seconds: float = 2.0
    post: durable_post.Plan = durable_post.Plan()
    batch: batch_rate.Plan = batch_rate.Plan()
    replay: catch_up.Plan = catch_up.Plan(events=60_000, only=REPLAYED)
    feed: fan_out.Plan = fan_out.Plan()
    growth: append_growth.Plan = append_growth.Plan()


BENCHES: dict[str, Callable[[Plan, Stage], list[Contest]]] = {
    "post": lambda plan, stage: durable_post.measure(plan.post, stage),
    "batch": lambda plan, stage: batch_rate.measure(plan.batch, stage),
    "feed": lambda plan, stage: fan_out.measure(plan.feed, stage),
    "growth": lambda plan, stage: append_growth.measure(plan.growth, stage),
    "replay": lambda plan, stage: catch_up.measure(plan.replay),
}


def main(arguments: Sequence[str] | None = None) -> int:
    plan, folder = read(arguments)
    name = "-".join(["bench", *plan.only])
    return finish(plan, lambda: _measured(plan), folder, name)


def read(arguments: Sequence[str] | None) -> tuple[Plan, Path]:
    """The plan, and the folder of the JSON report."""
    default = Plan()
    parser = arguments_of("make bench", __doc__)
    parser.epilog = (__doc__ or "").partition("\n\n")[2]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", choices=BENCHES, action="append", default=[], help="again for another")
    parser.add_argument("--rounds", type=number_from(int, 1, 1000), default=default.rounds)
    parser.add_argument("--seconds", type=number_from(float, 0.05, 600), default=default.seconds, help="of a turn")
    parser.add_argument("--connections", type=number_from(int, 1, 10_000), default=default.post.connections)
    parser.add_argument("--orders", type=number_from(int, 1, 1_000), default=default.batch.orders, help="a batch")
    parser.add_argument("--events", type=number_from(int, 1_000, 20_000_000), default=default.replay.events)
    parser.add_argument("--clients", type=number_from(int, 1, 4_000), default=default.feed.clients, help="of the feed")
    parser.add_argument("--messages", type=number_from(int, 1, 100_000), default=default.feed.messages, help="to each")
    parser.add_argument(
        "--long", type=number_from(int, 1, 100_000_000), default=default.growth.long, help="log, events"
    )
    parser.add_argument(
        "--appends", type=number_from(int, 1, 100_000), default=default.growth.appends, help="in a turn"
    )
    given = parser.parse_args(arguments)
    rounds, seconds = given.rounds, given.seconds
    plan = Plan(
        only=tuple(given.only),
        rounds=rounds,
        seconds=seconds,
        post=durable_post.Plan(rounds=rounds, seconds=seconds, connections=given.connections),
        batch=batch_rate.Plan(rounds=rounds, seconds=seconds, orders=given.orders),
        replay=catch_up.Plan(rounds=min(rounds, default.replay.rounds), events=given.events, only=REPLAYED),
        feed=fan_out.Plan(rounds=rounds, clients=given.clients, messages=given.messages),
        growth=append_growth.Plan(rounds=rounds, long=given.long, appends=given.appends),
    )
    return plan, given.folder


def contests(plan: Plan, stage: Stage) -> Iterator[Contest]:
    """Raises ServerFailed."""
    for name, bench in BENCHES.items():
        if name in (plan.only or BENCHES):
            began = time.perf_counter()
            yield from bench(plan, stage)
            print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)


def _measured(plan: Plan) -> list[Contest]:
    with api_stage() as stage:
        return list(contests(plan, stage))


if __name__ == "__main__":
    raise SystemExit(main())
