"""Clients of the feed that stop reading: when they are closed, what they cost the others, and what they take of memory.

    python -m tests.campaigns.slow_sockets --sockets 1000 --slow 10 --pairs 5

A thousand clients, each with a filter of a hundredth, measure how long a message takes from the writer's clock to
them: in turns alone, and beside some that want everything and never read. Each of those must be closed within 10 s.
Then, in a fresh API process: its memory with some hundred idle clients, and the most while as many do not read.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Self

import click
import msgspec
import psutil
from msgspec import Struct

from load.balance import Findings, counted
from load.http_client import Connection, request
from load.servers import HOST, Server, embedded_database, order_api, temporary_folder
from projections.bounds import MAX_CLIENT_BYTES
from tests.campaigns.concluding import conclude
from tests.campaigns.feed_listener import Listener
from tests.campaigns.order_writer import codes
from tests.campaigns.sockets import INSTRUMENTS, flow

CLOSED_S = 10.0  # the promise
GIVE_UP_S = 30.0
FILLED_S = 300.0  # a thousand clients: nobody can be told to be slow before some 700 MB are in their buffers
PER_SECOND = 500.0  # events, in turns: some 250 kB/s to a client that wants everything
SETTLE_S = 2.0
CUT_S = 2.0  # from the moment that the process counts a client no more until its connection is gone
SPARE_DESCRIPTORS = 20  # connections to the database that come and go
LOOK_S = 0.05
RECEIVE_BYTES = 16 * 1024  # a slow client's own buffer in the kernel; what more it takes is its own memory
MEMORY_PER_SECOND = 2_000.0
KIB = 1024


class Turns(Struct):
    """In ms, one number a turn: of all messages to the others in it."""

    middle: list[float] = []
    p99: list[float] = []

    def add(self, latencies_s: list[float]) -> None:
        ordered = sorted(latencies_s)
        self.middle.append(ordered[len(ordered) // 2] * 1_000)
        self.p99.append(ordered[len(ordered) * 99 // 100] * 1_000)

    def __str__(self) -> str:
        return f"median {median(self.middle):.1f} ms, p99 {median(self.p99):.1f} ms"


class Memory(Struct):
    """Of the API process, in KiB a client."""

    idle: float
    slow_at_most: float


class Outcome(Struct):
    """`closed_s`: from the moment that a client reads no more until the process has closed it."""

    alone: Turns = msgspec.field(default_factory=Turns)
    beside: Turns = msgspec.field(default_factory=Turns)
    closed_s: list[float] = []
    memory: Memory | None = None
    findings: Findings = msgspec.field(default_factory=Findings)

    def __str__(self) -> str:
        lines = []
        if self.closed_s:
            lines.append(
                f"{len(self.closed_s)} clients stopped reading and were closed after {min(self.closed_s):.1f} to"
                f" {max(self.closed_s):.1f} s"
            )
        if self.beside.middle:
            ratios = [
                median(one / other for one, other in zip(with_slow, without, strict=True))
                for with_slow, without in ((self.beside.middle, self.alone.middle), (self.beside.p99, self.alone.p99))
            ]
            lines.append(f"the others alone: {self.alone}; beside them: {self.beside}")
            lines.append(f"ratio, median of {len(self.beside.middle)} pairs: {ratios[0]:.2f}, of p99 {ratios[1]:.2f}")
        if self.memory is not None:
            idle, slow = self.memory.idle, self.memory.slow_at_most
            lines.append(f"memory of the API process a client: idle {idle:.0f} KiB, not reading at most {slow:.0f} KiB")
        return "\n".join([*lines, str(self.findings)]).rstrip()


class Deaf:
    """A client that wants everything and never reads; the live one only, or with a position."""

    def __init__(self, port: int, query: str) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(GIVE_UP_S)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.connect((HOST, port))
        head = f"GET /ws?{query} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        self._socket.sendall(
            f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert self._socket.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 101"
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()


class Watched:
    """An API process, and what it says of its clients."""

    def __init__(self, server: Server, link: Connection) -> None:
        self._link = link
        self._process = psutil.Process(server.pid)

    @classmethod
    @asynccontextmanager
    async def looked_at(cls, server: Server) -> AsyncIterator[Self]:
        link = await Connection.open(HOST, server.port)
        try:
            yield cls(server, link)
        finally:
            link.close()
            await pause(LOOK_S)  # until the connections are gone

    async def clients(self) -> int:
        answer = await self._link.ask(request("GET", HOST, "/metrics"))
        line = next(line for line in answer.body.splitlines() if line.startswith(b"orders_feed_clients "))
        return int(float(line.split()[1]))

    async def wait_for_clients(self, count: int) -> None:
        async with asyncio.timeout(GIVE_UP_S):
            while await self.clients() != count:
                await pause(LOOK_S)

    def memory_bytes(self) -> int:
        """The server and its worker."""
        return sum(one.memory_info().rss for one in self._processes())

    def peers(self) -> set[int]:
        """The ports of all that it is connected with, as the kernel knows it: not what it says itself."""
        links = (link for one in self._processes() for link in one.net_connections("tcp"))
        return {link.raddr.port for link in links if link.raddr and link.status == psutil.CONN_ESTABLISHED}

    def descriptors(self) -> int:
        return sum(one.num_fds() for one in self._processes())

    def _processes(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


async def pause(seconds: float) -> None:
    await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=seconds)


@contextmanager
def deaf_clients(port: int, count: int, query: str = "") -> Iterator[set[int]]:
    """Their ports."""
    clients: list[Deaf] = []
    try:
        for number in range(count):
            clients.append(Deaf(port, query or ("" if number % 2 else "after=0&detail=true")))
        yield {client.port for client in clients}
    finally:
        for client in clients:
            client.close()


async def closings(
    api: Watched, remaining: int, count: int, began_at: float, give_up_s: float = GIVE_UP_S
) -> list[float]:
    """When each of `count` was closed; `remaining` clients stay."""
    closed: list[float] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(give_up_s):
            while len(closed) < count:
                await pause(LOOK_S)
                gone = remaining + count - await api.clients()
                closed += [time.monotonic() - began_at] * (gone - len(closed))
    return closed


async def check_cuts(peers: Callable[[], set[int]], deaf: set[int], findings: Findings) -> None:
    """That who is counted no more has no connection any more either."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CUT_S):
            while peers() & deaf:
                await pause(LOOK_S)
    if left := peers() & deaf:
        findings.add("not cut", f"{len(left)} of {len(deaf)} are still connected {CUT_S:.0f} s after they were closed")


async def check_descriptors(before: int, now: Callable[[], int], findings: Findings) -> None:
    """That with the clients, their descriptors go. The server keeps some until the clients themselves are gone."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CUT_S):
            while now() > before + SPARE_DESCRIPTORS:
                await pause(LOOK_S)
    if (after := now()) > before + SPARE_DESCRIPTORS:
        findings.add("descriptors", f"the process has {after} open, {before} before clients were closed")


def _check_closings(closed: list[float], count: int, per_second: float, findings: Findings) -> None:
    """`per_second`: events that flowed meanwhile. Nobody is slow before buffers are full, and a trickle fills none."""
    if len(closed) < count:
        findings.add("not closed", f"{count - len(closed)} of {count} were not closed within {GIVE_UP_S:.0f} s")
    if (late := [each for each in closed if each > CLOSED_S]) != []:
        flowed = f"{per_second:.0f} of {PER_SECOND:.0f} events/s flowed"
        findings.add(
            "closed late", f"{len(late)} after more than {CLOSED_S:.0f} s, the last after {max(late):.1f} s; {flowed}"
        )


async def _take_turns(
    url: str, server: Server, sockets: int, slow: int, pairs: int, turn_s: float, settle_s: float
) -> Outcome:
    outcome = Outcome()
    instruments = codes(INSTRUMENTS)
    listeners = [
        Listener(f"symbol={instruments[number % INSTRUMENTS]}", [server.port], random.Random(number), cuts=0, mean=1)
        for number in range(sockets)
    ]
    async with Watched.looked_at(server) as api:
        staying = [asyncio.create_task(listener.stay()) for listener in listeners]
        with flow(url, events=0, per_second=PER_SECOND, seed=1):
            await api.wait_for_clients(sockets)
            async with asyncio.timeout(GIVE_UP_S):
                while not await _measured(listeners, LOOK_S):
                    pass  # the writer has not begun
            for _ in range(pairs):
                await pause(settle_s)
                outcome.alone.add(await _measured(listeners, turn_s))
                descriptors = api.descriptors()
                with deaf_clients(server.port, slow) as deaf:
                    looking = asyncio.create_task(closings(api, sockets, slow, time.monotonic()))
                    outcome.beside.add(told := await _measured(listeners, turn_s))
                    outcome.closed_s += (closed := await looking)
                    await check_cuts(api.peers, deaf, outcome.findings)
                each_told = max(1, sockets // INSTRUMENTS)
                _check_closings(closed, slow, len(told) / each_told / turn_s, outcome.findings)
                await check_descriptors(descriptors, api.descriptors, outcome.findings)
        if gone := sum((listener.ends for listener in listeners), Counter()):
            outcome.findings.add("others closed", f"{gone.total()} of the clients that read: {counted(gone)}")
        for one in staying:
            one.cancel()
        await asyncio.gather(*staying, return_exceptions=True)
    return outcome


async def _measured(listeners: list[Listener], seconds: float) -> list[float]:
    """The latencies of all messages that come within that time."""
    latencies: list[float] = []
    for listener in listeners:
        listener.latencies_s = latencies
    await pause(seconds)
    for listener in listeners:
        listener.latencies_s = None
    return latencies


async def _memory(url: str, server: Server, clients: int, outcome: Outcome) -> None:
    async with Watched.looked_at(server) as api:
        await api.clients()
        most = before = api.memory_bytes()
        with deaf_clients(server.port, clients, f"symbol={codes(1)[0]}"):
            await api.wait_for_clients(clients)
            idle = api.memory_bytes() - before
        await api.wait_for_clients(0)
        descriptors = api.descriptors()
        with deaf_clients(server.port, clients, "batch=true&detail=true") as deaf:
            await api.wait_for_clients(clients)
            # Only now something flows: so many clients that want everything would not come in otherwise.
            with flow(url, events=0, per_second=MEMORY_PER_SECOND, seed=2):
                looking = asyncio.create_task(closings(api, 0, clients, time.monotonic(), FILLED_S))
                while not looking.done():
                    await asyncio.wait((looking,), timeout=LOOK_S)
                    most = max(most, api.memory_bytes())
            await check_cuts(api.peers, deaf, outcome.findings)
        await check_descriptors(descriptors, api.descriptors, outcome.findings)
        if (left := clients - len(looking.result())) > 0:
            outcome.findings.add("not closed", f"{left} of {clients} were not closed within {FILLED_S:.0f} s")
    outcome.memory = Memory(idle / clients / KIB, (most - before) / clients / KIB)
    if most - before > clients * MAX_CLIENT_BYTES:
        outcome.findings.add("memory", f"{outcome.memory.slow_at_most:.0f} KiB a client that does not read")


def run(
    url: str,
    folder: Path,
    *,
    sockets: int,
    slow: int,
    pairs: int,
    turn_s: float,
    memory: int,
    settle_s: float = SETTLE_S,
) -> Outcome:
    """Over a migrated database; `memory`: how many clients its memory is measured with, 0 for none."""
    (folder / "turns").mkdir()
    with order_api(folder / "turns", url) as server:
        outcome = asyncio.run(_take_turns(url, server, sockets, slow, pairs, turn_s, settle_s))
    if memory:
        (folder / "memory").mkdir()
        with order_api(folder / "memory", url) as server:
            asyncio.run(_memory(url, server, memory, outcome))
    return outcome


@click.command(help=__doc__)
@click.option("--sockets", default=1_000, show_default=True, help="That read.")
@click.option("--slow", default=10, show_default=True, help="That do not, at a time.")
@click.option("--pairs", default=5, show_default=True, help="Of turns without and with those.")
@click.option("--turn", "turn_s", default=10.0, show_default=True, help="Seconds of a turn.")
@click.option("--memory", default=1_000, show_default=True, help="Clients that memory is measured with.")
def main(sockets: int, slow: int, pairs: int, turn_s: float, memory: int) -> None:
    with temporary_folder() as folder, embedded_database(folder) as url:
        outcome = run(url, folder, sockets=sockets, slow=slow, pairs=pairs, turn_s=turn_s, memory=memory)
    conclude(outcome)


if __name__ == "__main__":
    main()
