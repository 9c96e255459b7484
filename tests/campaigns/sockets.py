"""A thousand sockets of the feed, each cut and resumed at random over two API processes, while messages flow.

    python -m tests.campaigns.sockets --sockets 1000 --cuts 20 --events 100000 --seed 7

Every client wants one of a hundred instruments. It is cut hard, also while it connects or catches up, resumes at the
other API process with the position of the last message it has, and must have seen each message of its filter exactly
once, in order, with the event and the status that the log has in the end. Some want trades beside orders, some frames
of several messages, some come over GET /events, and some are the Python client, which resumes by itself. On one
connection no message, nor one that says where it stands, has a position below what came before.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from msgspec import Struct

from load.balance import Findings
from load.feed_wire import EventsWire
from load.servers import embedded_database, order_api, temporary_folder
from orders.domain import events as e
from orders.eventstore.postgres import PostgresEventStore
from tests.campaigns.concluding import conclude, told_seed
from tests.campaigns.feed_listener import Listener, Seen, seen_as
from tests.campaigns.order_writer import codes
from tests.campaigns.stream_client import StreamClient

API_PROCESSES = 2
INSTRUMENTS = 100
STREAM_EVERY = 21  # one in so many is the Python client's stream, which costs some ten times as much
EVENTS_EVERY = 10  # and of the others one in so many comes over GET /events
WAYS = ("", "&batch=true", "&channels=orders,trades", "&channels=orders,trades&batch=true")
TOLD = {
    *("OrderPlaced", "OrderExecuted", "OrderReplaced", "OrderCanceled", "OrderRejected", "OrderExpired"),
    *("ExecutionBusted", "ExecutionCorrected"),
}
"""The events that the contract names for /ws without detail=true."""
TRADED = {"OrderExecuted": "trade", "ExecutionBusted": "trade_busted", "ExecutionCorrected": "trade_corrected"}
"""What the channel `trades` makes of them."""
END_S = 300.0  # for everybody to have everything once nothing flows any more
LOG_PAGE = 10_000


class Outcome(Struct):
    """`findings` is empty where every client saw what it should."""

    sockets: int
    messages: int
    cuts: int
    ends: Counter[str]
    flow_s: float
    seconds: float
    findings: Findings

    def __str__(self) -> str:
        closed = ", ".join(f"{count} {name}" for name, count in self.ends.items()) or "nothing"
        return (
            f"{self.sockets} sockets, cut {self.cuts:,} times, saw {self.messages:,} messages;"
            f" the log grew for {self.flow_s:.0f} s, all was seen after {self.seconds:.0f} s;"
            f" ended by the server or refused: {closed}\n{self.findings}"
        ).rstrip()


def run(url: str, *, sockets: int, cuts: int, events: int, per_second: float, seed: int) -> Outcome:
    """Over a migrated database with an empty log."""
    with temporary_folder() as folder, ExitStack() as stack:
        ports = [stack.enter_context(order_api(_made(folder / str(n)), url)).port for n in range(API_PROCESSES)]
        rng = random.Random(seed)
        instruments = codes(INSTRUMENTS)
        mean = events // INSTRUMENTS // (cuts + 1)
        listeners = [
            _client(number, instruments, ports, random.Random(rng.random()), cuts, mean) for number in range(sockets)
        ]
        began_at = time.monotonic()
        flow_s = asyncio.run(_listen(url, listeners, events, per_second, seed))
        seconds = time.monotonic() - began_at
    outcome = Outcome(
        sockets=sockets,
        messages=sum(len(one.seen) for one in listeners),
        cuts=sum(one.cuts for one in listeners),
        ends=sum((one.ends for one in listeners), Counter()),
        flow_s=flow_s,
        seconds=seconds,
        findings=Findings(),
    )
    told = told_of(url)
    for listener in listeners:
        judge(listener.query, listener.seen, told, outcome.findings)
        if back := listener.backwards:
            outcome.findings.add("backwards", f"{listener.query}, {len(back)} times: {back[0]}")
    return outcome


def _client(
    number: int, instruments: list[str], ports: list[int], rng: random.Random, cuts: int, mean: int
) -> Listener | StreamClient:
    way = WAYS[(number + number // INSTRUMENTS) % len(WAYS)]
    symbol, turned = f"symbol={instruments[number % INSTRUMENTS]}", ports[number % 2 :] + ports[: number % 2]
    if number % STREAM_EVERY == 0:
        return StreamClient(f"{symbol}{way}", turned, rng, cuts=cuts, mean=mean)
    if number % EVENTS_EVERY == 0:
        return Listener(f"{symbol}&channels=orders,trades", turned, rng, cuts=cuts, mean=mean, wire=EventsWire)
    return Listener(f"{symbol}{way}", turned, rng, cuts=cuts, mean=mean)


async def _listen(
    url: str, listeners: list[Listener | StreamClient], events: int, per_second: float, seed: int
) -> float:
    """How long messages flowed."""
    flowed = asyncio.Event()
    head: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    listening = asyncio.gather(*(listener.run(flowed, head) for listener in listeners))
    began_at = time.monotonic()
    with flow(url, events=events, per_second=per_second, seed=seed) as writer:
        while writer.poll() is None:
            await asyncio.wait((listening,), timeout=0.05)
            if listening.done():
                break
        assert writer.wait() == 0, "the writer failed"
    flow_s = time.monotonic() - began_at
    flowed.set()
    head.set_result(head_of(url))
    async with asyncio.timeout(END_S):
        await listening
    return flow_s


@contextmanager
def flow(url: str, *, events: int, per_second: float, seed: int) -> Iterator[subprocess.Popen[bytes]]:
    """A writer in a process of its own; ended at the end."""
    arguments = [url, str(seed), str(events), str(per_second), str(INSTRUMENTS)]
    process = subprocess.Popen([sys.executable, "-m", "tests.campaigns.order_writer", *arguments])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def head_of(url: str) -> int:
    store = PostgresEventStore(url)
    try:
        return store.head()
    finally:
        store.close()


def told_of(url: str) -> dict[str, list[Seen]]:
    """By instrument, what the feed tells of orders and trades."""
    store = PostgresEventStore(url)
    told: dict[str, list[Seen]] = {}
    after = 0
    while page := store.read_log(after=after, limit=LOG_PAGE):
        for recorded in page:
            event = recorded.event
            if isinstance(event, e.OrderEvent) and (name := e.event_name(event)) in TOLD:
                of_symbol = told.setdefault(event.after.symbol, [])
                of_symbol.append(seen_as(recorded.position, name, event.after.status.value))
                if name in TRADED:
                    of_symbol.append(seen_as(recorded.position, TRADED[name], ""))
        after = page[-1].position
    store.close()
    return told


def judge(query: str, seen: Sequence[Seen], told: dict[str, list[Seen]], findings: Findings) -> None:
    """Adds what a client with this query saw too much, or not at all, or in another order."""
    symbol = query.removeprefix("symbol=").split("&")[0]
    with_trades = "trades" in query
    wanted = [one for one in told.get(symbol, []) if with_trades or one[1] in TOLD]
    if list(seen) == wanted:
        return
    lost, again = Counter(wanted) - Counter(seen), Counter(seen) - Counter(wanted)
    if lost:
        findings.add("lost", f"{query} lacks {len(lost)} messages, {min(lost)} first")
    if again:
        findings.add("repeated", f"{query} saw {len(again)} messages too often, {min(again)} first")
    if not lost and not again:
        place = next(n for n, (one, other) in enumerate(zip(seen, wanted, strict=True)) if one != other)
        findings.add("disorder", f"{query} saw {seen[place]} where {wanted[place]} belongs")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@click.command(help=__doc__)
@click.option("--sockets", default=1_000, show_default=True)
@click.option("--cuts", default=20, show_default=True, help="Of each socket.")
@click.option("--events", default=100_000, show_default=True)
@click.option("--rate", default=800.0, show_default=True, help="Events a second.")
@click.option("--seed", default=None, type=int, help="Of the orders and the cuts.  [default: the clock's]")
def main(sockets: int, cuts: int, events: int, rate: float, seed: int | None) -> None:
    seed = told_seed(seed)
    with temporary_folder() as folder, embedded_database(folder) as url:
        outcome = run(url, sockets=sockets, cuts=cuts, events=events, per_second=rate, seed=seed)
    conclude(outcome)


if __name__ == "__main__":
    main()
