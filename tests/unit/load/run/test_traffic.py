"""Requests leave when they are meant to, and whatever comes back, or does not, is known afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from load.run.ledger import Ledger
from load.run.meter import Meter
from load.run.traffic import Target, Traffic
from load.scenarios import Model, Phase, Scenario, scenario_named

HOST = "127.0.0.1"
STALL_S = 0.8
Serve = Callable[[int], Awaitable[bytes | None]]


def answer(status: int, order_id: str = "") -> bytes:
    body = json.dumps({"order_id": order_id, "type": "market", "status": "Placed", "quantity": 1}).encode()
    head = f"HTTP/1.1 {status} Words\r\nOrders-Position: {7 * status}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def placing(model: Model, users: int, *phases: Phase) -> Scenario:
    default = scenario_named("default")
    return msgspec.structs.replace(default, model=model, users=users, phases=list(phases), mix={"place": 1.0})


class Run:
    """A scenario against a server that answers its n-th request with what `serve(n)` gives; None: it hangs up."""

    def __init__(self, scenario: Scenario, serve: Serve) -> None:
        self.meter, self.ledger = Meter(scenario.phases), Ledger()
        self.phases: list[int] = []
        self.heads: list[str] = []
        self.position = 0
        self._serve = serve
        asyncio.run(self._run(scenario))

    async def _run(self, scenario: Scenario) -> None:
        server = await asyncio.start_server(self._connection, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        target = Target(base_url=f"http://{HOST}:{port}", headers=(("Authorization", "Bearer k"),))
        async with server:
            traffic = Traffic(scenario, target, "load-1", self.meter, self.ledger, self._begin)
            await traffic.run()
        self.position = traffic.position

    async def _begin(self, phase: int) -> None:
        self.phases.append(phase)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                await reader.readuntil(b"}")
                sent = await self._serve(len(self.heads))
                if sent is None:
                    return
                writer.write(sent)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    @property
    def answers(self) -> dict[str, int]:
        return self.meter.operations()[0].answers

    @property
    def worst_ms(self) -> float:
        return self.meter.operations()[0].latencies.worst_ms


async def accepts(number: int) -> bytes:
    return answer(201, f"order-{number}")


@pytest.mark.parametrize("model", ["users", "arrivals"])
def test_every_request_of_every_phase_leaves_and_counts_for_it(model: Model) -> None:
    phases = (Phase(name="a", seconds=0.2, per_second=100), Phase(name="b", seconds=0.2, per_second=200))
    run = Run(placing(model, 4, *phases), accepts)
    assert run.phases == [0, 1]
    assert [phase.requests for phase in run.meter.phases()] == [20, 40]
    assert run.answers == {"201": 60}
    assert len(run.ledger.accepted) == 60
    assert run.position == 7 * 201


def test_requests_carry_the_key_of_the_account_and_name_the_host() -> None:
    run = Run(placing("users", 1, Phase(name="a", seconds=0.05, per_second=40)), accepts)
    for head in run.heads:
        assert head.startswith("POST /orders HTTP/1.1\r\nHost: 127.0.0.1:")
        assert "Authorization: Bearer k\r\n" in head


def test_a_request_without_an_answer_is_in_the_ledger_as_one_that_is_to_be_asked_again() -> None:
    async def now_and_then(number: int) -> bytes | None:
        if number % 5 == 0:
            return None
        return answer(503) if number % 5 == 1 else answer(422) if number % 5 == 2 else answer(201, f"order-{number}")

    run = Run(placing("arrivals", 2, Phase(name="a", seconds=0.25, per_second=200)), now_and_then)
    assert run.answers == {"201": 20, "422": 10, "503": 10, "the connection was closed": 10}
    assert (len(run.ledger.unanswered), run.ledger.refused, len(run.ledger.accepted)) == (20, {"422": 10}, 20)
    assert run.meter.operations()[0].failed == 30


async def stalls_at_first(number: int) -> bytes:
    if number == 1:
        await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=STALL_S)
    return answer(201, f"order-{number}")


def test_a_user_whose_answer_is_late_is_charged_for_the_turns_that_it_missed() -> None:
    run = Run(placing("users", 1, Phase(name="a", seconds=0.3, per_second=50)), stalls_at_first)
    assert run.worst_ms >= 1000 * STALL_S - 10
    assert run.meter.operations()[0].latencies.p50_ms > 400


@pytest.mark.parametrize(("model", "late"), [("users", 5), ("arrivals", 1)])
def test_a_user_has_turns_of_its_own_and_arrivals_go_to_whoever_is_free(model: Model, late: int) -> None:
    run = Run(placing(model, 5, Phase(name="a", seconds=0.5, per_second=50)), stalls_at_first)
    assert run.worst_ms >= 1000 * STALL_S - 10
    latencies = run.meter.operations()[0].latencies
    assert latencies.count == 25
    assert latencies.p50_ms < 400
    assert (latencies.p90_ms > 400) == (late > 25 / 10)
