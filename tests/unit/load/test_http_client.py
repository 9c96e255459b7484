"""The measuring client counts what a server did, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from load.http_client import BrokenAnswer, Connection, closed_loop, post

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WITHIN_S = 5.0

OK = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def answering(*pieces: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n{}")
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return serve


REQUEST = post("127.0.0.1", "/orders", b"{}")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "pieces",
    [(OK,), (OK[:20], OK[20:]), (OK[:-1], OK[-1:]), tuple(bytes([byte]) for byte in OK)],
    ids=["whole", "cut in the head", "cut in the body", "byte by byte"],
)
async def test_an_answer_is_read_however_it_arrives(pieces: tuple[bytes, ...]) -> None:
    async with asyncio.timeout(WITHIN_S), serving(answering(*pieces)) as port:
        link = await Connection.open("127.0.0.1", port)
        for _ in range(3):
            answer = await link.ask(REQUEST)
            assert (answer.status, answer.body) == (201, b"{}")
        link.close()


@pytest.mark.anyio
@pytest.mark.parametrize("bad", [b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0-x\r\nContent-Length: 2\r\n\r\n{}"])
async def test_what_is_no_answer_is_broken(bad: bytes) -> None:
    async with asyncio.timeout(WITHIN_S), serving(answering(bad)) as port:
        link = await Connection.open("127.0.0.1", port)
        with pytest.raises(BrokenAnswer):
            await link.ask(REQUEST)


@pytest.mark.anyio
async def test_a_closed_connection_counts_as_a_failure_and_the_round_goes_on() -> None:
    served = 0

    async def every_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        answers = served % 2 == 0
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n{}")
            if answers:
                writer.write(OK)
                await writer.drain()
        writer.close()

    async with asyncio.timeout(WITHIN_S), serving(every_second) as port:
        measured = await closed_loop("127.0.0.1", port, lambda: REQUEST, connections=2, seconds=0.1)
    assert set(measured.failures) <= {"the connection was closed", "the connection is closed"}
    assert sum(measured.failures.values()) > 0
    assert measured.statuses == {201: len(measured.latencies_s)}


@pytest.mark.anyio
async def test_a_round_counts_every_answer_and_its_time() -> None:
    async with asyncio.timeout(WITHIN_S), serving(answering(OK)) as port:
        measured = await closed_loop("127.0.0.1", port, lambda: REQUEST, connections=4, seconds=0.1)
    assert measured.failures == {}
    assert measured.statuses == {201: len(measured.latencies_s)}
    assert measured.seconds >= 0.1
    assert all(0 < one < measured.seconds for one in measured.latencies_s)
    assert measured.per_second == len(measured.latencies_s) / measured.seconds
