"""This process's own connections: found among its open files, of which none stays behind."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from projections.api import own_sockets
from projections.api.own_sockets import bound_sending, cut_peer, make_room
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def connections() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Ours and the peer's end of each."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        pairs = []
        for _ in range(3):
            peer = stack.enter_context(socket.create_connection(listener.getsockname()))
            pairs.append((stack.enter_context(listener.accept()[0]), peer))
        yield pairs


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def ended(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        return peer.recv(1) == b""
    except BlockingIOError:
        return False


async def all_done() -> bool:
    return not own_sockets._looks.under_way


async def test_peers_that_are_due_together_are_cut_and_nobody_else(
    connections: list[tuple[socket.socket, socket.socket]],
) -> None:
    (_, first), (_, second), (_, other) = connections
    cut_peer(first.getsockname())
    cut_peer((second.getsockname()[0], str(second.getsockname()[1])))
    cut_peer(None)
    await wait_until_async(all_done, what="the end of both")
    assert (ended(first), ended(second), ended(other)) == (True, True, False)


async def test_what_is_being_sent_to_a_peer_that_does_not_read_goes_out_and_is_there_after_the_end(
    connections: list[tuple[socket.socket, socket.socket]],
) -> None:
    own, peer = connections[0]
    own.setblocking(False)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += own.send(bytes(4096))
    make_room(peer.getsockname())
    await wait_until_async(all_done, what="the room")
    writable = select.select([], [own], [], 0)[1]
    assert writable == [own]
    sent += own.send(b"goodbye")
    cut_peer(peer.getsockname())
    await wait_until_async(all_done, what="the end")
    own.close()
    received = bytearray()
    while chunk := peer.recv(65536):
        received += chunk
    assert (len(received), received[-7:]) == (sent, b"goodbye")


async def test_no_look_leaves_a_file_open(connections: list[tuple[socket.socket, socket.socket]]) -> None:
    cut_peer(("127.0.0.1", 1))
    await wait_until_async(all_done, what="a look, and the thread that it takes")
    before = open_files()
    assert bound_sending(65_536, 20_000)
    cut_peer(connections[0][1].getsockname())
    await wait_until_async(all_done, what="the look")
    assert open_files() == before


async def test_files_that_cannot_be_listed_stop_no_later_look(
    connections: list[tuple[socket.socket, socket.socket]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def no_more_files(path: Path) -> Iterator[Path]:
        raise OSError(24, "Too many open files")

    peer = connections[0][1]
    with monkeypatch.context() as broken:
        broken.setattr(Path, "iterdir", no_more_files)
        cut_peer(peer.getsockname())
        await wait_until_async(all_done, what="the look")
    assert "Too many open files" in caplog.text
    cut_peer(peer.getsockname())
    await wait_until_async(all_done, what="the next one")
    assert ended(peer)
