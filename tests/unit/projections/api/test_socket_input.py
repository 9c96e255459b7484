"""What clients of /ws may send in all, told by the kernel."""

import asyncio
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from projections.api.socket_input import Peer, WatchedInput, peers_beyond
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


def say(client: socket.socket, accepted: socket.socket, size: int) -> None:
    """The server reads it all."""
    client.settimeout(5)
    while size:
        size -= client.send(b"\0" * min(size, 65536))
        while has_something(accepted):
            accepted.recv(1 << 20)


def has_something(one: socket.socket) -> bool:
    return bool(select.select([one], [], [], 0)[0])


def test_the_kernel_tells_who_has_sent_more(client: socket.socket, accepted: socket.socket) -> None:
    peer = client.getsockname()
    say(client, accepted, 1000)
    wait_until(lambda: peer in peers_beyond(999), what="the peer")
    assert peer not in peers_beyond(1000)
    assert accepted.getpeername() == peer, "looking closes nothing"


async def test_who_sends_too_much_in_pieces_is_cut(client: socket.socket, accepted: socket.socket) -> None:
    watched = WatchedInput(LOOK_S)
    with watched.of(client.getsockname()):
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
        for size, pair in zip((MAX_CLIENT_INPUT_BYTES + 1, 1000, MAX_CLIENT_INPUT_BYTES + 1), pairs, strict=True):
            await asyncio.to_thread(say, *pair, size)
        with watched.of(quiet.getsockname()), watched.of(("127.0.0.1", str(talker.getsockname()[1]))):
            await wait_until_async(noticed, what="the one that is to be cut")
        assert set(cuts) == {talker.getsockname()}


async def test_nobody_looks_while_no_socket_is_open() -> None:
    watched = WatchedInput(LOOK_S)
    with watched.of(("127.0.0.1", 1)):
        assert watched._looking is not None

    async def over() -> bool:
        return watched._looking is not None and watched._looking.done()

    await wait_until_async(over, what="the end of the looking")
    with watched.of(None):
        assert watched._looking.done()
