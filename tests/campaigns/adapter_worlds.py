"""Anything befalls the whole adapter, in thousands of worlds: the long form of tests/property/test_adapter_machine.py.

    python -m tests.campaigns.adapter_worlds --worlds 4000 --seed 7

Each world has a seed of its own, and the kinds of venues take turns. The promises are judged at every commit and call;
then the world calms down, and where everything can be known, everything is. A broken one is named by what repeats it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from random import Random

import click
import structlog
from msgspec import Struct, field

from load.balance import Findings, counted
from tests.campaigns.concluding import conclude, told_seed
from tests.property.adapter_promises import Watch
from tests.property.adapter_world import VENUES, World, settles_all
from tests.support.virtual_time import VirtualLoop

STEPS = (30, 110)
"""The least and the most things that befall a world."""
AT_ONCE = 8  # worlds given to a process at a time


class Lived(Struct):
    """What became of one world; `broken` says which promises, where it did not keep them."""

    name: str
    events: int = 0
    calls: int = 0
    virtual_s: float = 0.0
    broken: str | None = None


class Outcome(Struct):
    worlds: Counter[str] = field(default_factory=Counter)
    events: int = 0
    calls: int = 0
    virtual_s: float = 0.0
    seconds: float = 0.0
    findings: Findings = field(default_factory=Findings)

    def __str__(self) -> str:
        told = (
            f"{self.worlds.total():,} worlds in {self.seconds:.0f} s: {counted(self.worlds)}; {self.events:,} events,"
            f" {self.calls:,} calls of the exchange, {self.virtual_s / 3600:.0f} hours of their own time"
        )
        return "\n".join(row for row in (told, str(self.findings)) if row)


def live(number: int, seed: int) -> Lived:
    """A world's whole life, in virtual time."""
    name = sorted(VENUES)[number % len(VENUES)]
    lived = Lived(name)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        world = World(loop, VENUES[name], seed + number)
        watch = Watch(world)
        try:
            runner.run(_live(world, watch, Random(seed + number)))
        except AssertionError as error:
            lived.broken = f"venue {name!r}, --worlds 1 --seed {seed} --first {number}: {error}"
        finally:
            runner.run(world.end())
        lived.events = len(world.floor.store.read_log(after=0, limit=1_000_000))
        lived.calls = len(world.floor.venue.calls)
        lived.virtual_s = loop.time()
    return lived


async def _live(world: World, watch: Watch, random: Random) -> None:
    world.start()
    for _ in range(random.randint(*STEPS)):
        await world.befall(random)
        watch.look()
    await world.calm_down()
    watch.look()
    if settles_all(world.venue.capabilities):
        watch.agrees()


def run(worlds: int, seed: int, first: int = 0) -> Outcome:
    outcome, began_at = Outcome(), time.monotonic()
    with ProcessPoolExecutor(os.cpu_count(), initializer=_be_quiet) as pool:
        for lived in pool.map(partial(live, seed=seed), range(first, first + worlds), chunksize=AT_ONCE):
            outcome.worlds[lived.name] += 1
            outcome.events += lived.events
            outcome.calls += lived.calls
            outcome.virtual_s += lived.virtual_s
            if lived.broken is not None:
                outcome.findings.add("broken", lived.broken)
                print(lived.broken, flush=True)
    outcome.seconds = time.monotonic() - began_at
    return outcome


def _be_quiet() -> None:
    """The adapter's log lines would be millions."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


@click.command(help=__doc__)
@click.option("--worlds", default=4_000, show_default=True)
@click.option("--first", default=0, show_default=True, help="The number of the first world.")
@click.option("--seed", default=None, type=int, help="Of all worlds.  [default: the clock's]")
def main(worlds: int, first: int, seed: int | None) -> None:
    conclude(run(worlds, told_seed(seed), first))


if __name__ == "__main__":
    main()
