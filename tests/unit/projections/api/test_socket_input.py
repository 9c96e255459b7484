"""What clients of /ws may send in all, told by the kernel."""

import asyncio
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from projections.api import socket_input
from projections.api.socket_input import Peer, WatchedInput, received_of_peers
from projections.bounds import MAX_CLIENT_INPUT_BYTES
from tests.support.waiting import wait_until, wait_until_async

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO is Linux's")]

LOOK_S = 0.02


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def client(server: socket.socket) -> Iterator[socket.socket]:
    with socket.create_connection(server.getsockname()) as connected:
        yield connected


@pytest.fixture
def accepted(server: socket.socket, client: socket.socket) -> Iterator[socket.socket]:
    with server.accept()[0] as taken:
        yield taken


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When it was looked."""
    at: list[float] = []

    def noted() -> dict[Peer, int]:
        at.append(time.monotonic())
        return received_of_peers()

    monkeypatch.setattr(socket_input, "received_of_peers", noted)
    return at


def say(client: socket.socket, accepted: socket.socket, size: int) -> None:
    """The server reads it all."""
    client.settimeout(5)
    while size:
        size -= client.send(b"\0" * min(size, 65536))
        while has_something(accepted):
            accepted.recv(1 << 20)


def has_something(one: socket.socket) -> bool:
    return bool(select.select([one], [], [], 0)[0])


def test_the_kernel_tells_what_each_has_sent(client: socket.socket, accepted: socket.socket) -> None:
    peer = client.getsockname()
    say(client, accepted, 1000)
    wait_until(lambda: received_of_peers().get(peer) == 1000, what="the peer's bytes")
    assert accepted.getpeername() == peer, "looking closes nothing"


async def test_who_sends_too_much_in_pieces_is_cut(client: socket.socket, accepted: socket.socket) -> None:
    watched = WatchedInput(LOOK_S)
    async with watched.of(client.getsockname()):
        await asyncio.to_thread(say, client, accepted, MAX_CLIENT_INPUT_BYTES + 1)

        async def cut() -> bool:
            return has_something(client) and client.recv(1) == b""

        await wait_until_async(cut, what="the end of the connection")


async def test_the_others_and_who_is_no_client_of_the_feed_stay(
    server: socket.socket, client: socket.socket, accepted: socket.socket
) -> None:
    cuts: list[Peer] = []
    watched = WatchedInput(LOOK_S, cut=cuts.append)

    async def noticed() -> bool:
        return bool(cuts)

    with ExitStack() as stack:
        pairs = [(client, accepted)]
        for _ in range(2):
            peer = stack.enter_context(socket.create_connection(server.getsockname()))
            pairs.append((peer, stack.enter_context(server.accept()[0])))
        _, (quiet, _), (talker, _) = pairs
        async with watched.of(quiet.getsockname()), watched.of(("127.0.0.1", str(talker.getsockname()[1]))):
            for size, pair in zip((MAX_CLIENT_INPUT_BYTES + 1, 1000, MAX_CLIENT_INPUT_BYTES + 1), pairs, strict=True):
                await asyncio.to_thread(say, *pair, size)
            await wait_until_async(noticed, what="the one that is to be cut")
        assert set(cuts) == {talker.getsockname()}


async def test_what_a_connection_carried_before_it_became_a_socket_does_not_count(
    client: socket.socket, accepted: socket.socket, looks: list[float]
) -> None:
    """A proxy that keeps connections has sent requests on it."""
    cuts: list[Peer] = []
    watched = WatchedInput(LOOK_S, cut=cuts.append)
    await asyncio.to_thread(say, client, accepted, 3 * MAX_CLIENT_INPUT_BYTES)
    async with watched.of(client.getsockname()):
        await asyncio.to_thread(say, client, accepted, MAX_CLIENT_INPUT_BYTES // 2)
        looked = len(looks)

        async def looked_again() -> bool:
            return len(looks) > looked + 2

        await wait_until_async(looked_again, what="two looks more")
        assert cuts == []
        await asyncio.to_thread(say, client, accepted, MAX_CLIENT_INPUT_BYTES // 2 + 1)

        async def noticed() -> bool:
            return bool(cuts)

        await wait_until_async(noticed, what="that it is cut for what it sent as a socket")


async def test_sockets_that_are_opened_at_a_time_share_a_look(looks: list[float]) -> None:
    watched = WatchedInput(60)

    async def opened(port: int) -> None:
        async with watched.of(("127.0.0.1", port)):
            pass

    await asyncio.gather(*(opened(port) for port in range(1, 100)))
    assert len(looks) <= 2


async def test_nobody_looks_while_no_socket_is_open() -> None:
    watched = WatchedInput(LOOK_S)
    async with watched.of(("127.0.0.1", 1)):
        assert watched._looking is not None

    async def over() -> bool:
        return watched._looking is not None and watched._looking.done()

    await wait_until_async(over, what="the end of the looking")
    async with watched.of(None):
        assert watched._looking.done()
