"""Before the server closes its socket, the kernel takes no new connection and has none left that was not accepted."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator

import pytest

from order_service.api.last_connections import take_last_connections
from order_service.bounds import LAST_CONNECTIONS_S, QUIET_QUEUE_S

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux can drop what opens a connection"),
]

QUEUED = 3
SOON_S = 0.2


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture
def queued(listener: socket.socket) -> Iterator[list[socket.socket]]:
    """Connections that the kernel has made and nobody has accepted."""
    clients = [socket.create_connection(listener.getsockname()) for _ in range(QUEUED)]
    yield clients
    for client in clients:
        client.close()


async def still_waits(task: asyncio.Task[None], for_s: float) -> bool:
    try:
        await asyncio.wait_for(asyncio.shield(task), for_s)
    except TimeoutError:
        return True
    return False


@pytest.mark.usefixtures("queued")
async def test_it_waits_until_all_that_were_queued_are_accepted(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    taking = asyncio.create_task(take_last_connections())
    assert await still_waits(taking, 3 * QUIET_QUEUE_S)
    for _ in range(QUEUED):
        accepted, _ = await loop.sock_accept(listener)
        accepted.close()
    await asyncio.wait_for(taking, LAST_CONNECTIONS_S)


async def test_nobody_connects_any_more(listener: socket.socket) -> None:
    await take_last_connections()
    assert not os.get_blocking(listener.fileno())  # as the server has it: else it waits in its next `accept`
    with socket.socket() as late:
        late.settimeout(SOON_S)
        with pytest.raises(TimeoutError):
            late.connect(listener.getsockname())


@pytest.mark.usefixtures("listener")
async def test_who_is_connected_goes_on(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        await take_last_connections()
        client.sendall(b"still there?")
        assert server.recv(64) == b"still there?"
        server.close()


@pytest.mark.usefixtures("queued")
async def test_a_server_that_accepts_nothing_is_not_waited_for_longer_than_the_bound() -> None:
    began = asyncio.get_running_loop().time()
    await take_last_connections()
    assert LAST_CONNECTIONS_S <= asyncio.get_running_loop().time() - began < 4 * LAST_CONNECTIONS_S


async def test_a_process_that_does_not_listen_waits_for_nothing() -> None:
    async with asyncio.timeout(QUIET_QUEUE_S):
        await take_last_connections()
