"""What a steady load measures: latency from the time that a request was meant to leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from load import open_loop
from load.http_client import Answer, post
from load.open_loop import OpenLoop, Phase, ServerGone
from load.servers import free_port

HOST = "127.0.0.1"
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
Serve = Callable[[int], Awaitable[bytes | None]]


async def loaded(serve: Serve, *, per_second: float, connections: int, phases: dict[str, float]) -> list[Phase]:
    """The phases of a load on a server that answers its n-th request with what `serve(n)` gives; None: it hangs up."""
    seen = 0

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        try:
            while await reader.readuntil(b"\r\n\r\n{}"):
                seen += 1
                answer = await serve(seen)
                if answer is None:
                    return
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    request = post(HOST, "/orders", b"{}")
    answers: list[Answer] = []
    load = OpenLoop(
        HOST,
        port,
        per_second=per_second,
        connections=connections,
        next_request=lambda number: request,
        on_answer=lambda number, answer: answers.append(answer),
    )
    measured = []
    async with server:
        running = asyncio.ensure_future(load.run())
        for name, seconds in phases.items():
            measured.append(load.begin(name))
            await asyncio.wait({running}, timeout=seconds)
        load.end()
        await running
    assert len(answers) == sum(phase.answers["201"] for phase in measured)
    return measured


async def at_once(number: int) -> bytes:
    return ANSWER


def test_requests_leave_at_the_rate_and_count_for_the_phase_they_were_meant_for() -> None:
    phases = asyncio.run(loaded(at_once, per_second=200, connections=4, phases={"a": 0.5, "b": 0.25}))
    assert [phase.name for phase in phases] == ["a", "b"]
    assert [phase.answers["201"] for phase in phases] == pytest.approx([100, 50], abs=12)


def test_a_server_that_stalls_is_charged_for_all_that_waited_meanwhile() -> None:
    async def stalls_once(number: int) -> bytes:
        if number == 1:
            await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=0.5)
        return ANSWER

    [phase] = asyncio.run(loaded(stalls_once, per_second=200, connections=1, phases={"all": 0.5}))
    assert phase.percentile_ms(50) > 150
    assert phase.worst_ms >= 490


def test_requests_without_an_answer_are_counted_and_the_load_goes_on() -> None:
    async def hangs_up(number: int) -> bytes | None:
        return None if number % 10 == 0 else ANSWER

    [phase] = asyncio.run(loaded(hangs_up, per_second=200, connections=2, phases={"all": 0.5}))
    assert phase.answers["the connection was closed"] == pytest.approx(10, abs=4)
    assert phase.answers["201"] > 60


def test_a_request_without_an_answer_took_as_long_as_it_was_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_loop, "ANSWER_TIMEOUT_S", 0.1)

    async def hangs_once(number: int) -> bytes:
        if number == 5:
            await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=0.15)
        return ANSWER

    [phase] = asyncio.run(loaded(hangs_once, per_second=100, connections=2, phases={"all": 0.3}))
    assert phase.answers["no answer in time"] >= 1
    assert phase.worst_ms >= 95


def test_a_server_that_is_gone_ends_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_loop, "GIVE_UP_S", 0.2)
    load = OpenLoop(
        HOST, free_port(), per_second=10, connections=2, next_request=lambda n: b"", on_answer=lambda n, a: None
    )
    with pytest.raises(ServerGone, match="takes no connection"):
        asyncio.run(load.run())


def test_a_phase_without_an_answer_has_no_percentiles() -> None:
    phase = Phase("empty")
    assert (phase.percentile_ms(99), phase.worst_ms) == (0.0, 0.0)


def test_what_was_meant_to_leave_before_a_phase_began_does_not_count_for_it() -> None:
    async def late_client() -> tuple[Phase, Phase]:
        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                writer.write(ANSWER)
            writer.close()

        server = await asyncio.start_server(connection, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        request = post(HOST, "/orders", b"{}")
        load = OpenLoop(
            HOST, port, per_second=100, connections=1, next_request=lambda n: request, on_answer=lambda n, a: None
        )
        async with server:
            first = load.begin("first")
            running = asyncio.ensure_future(load.run())
            await asyncio.wait({running}, timeout=0.1)
            threading.Event().wait(0.3)  # the client itself is held up, with its loop
            second = load.begin("second")
            await asyncio.wait({running}, timeout=0.1)
            load.end()
            await running
        return first, second

    first, second = asyncio.run(late_client())
    assert first.answers["201"] >= 38
    assert second.answers["201"] > 0
