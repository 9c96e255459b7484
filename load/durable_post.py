"""POST /orders, durable, against a bare echo of the same body on the same server.

Client, API and PostgreSQL (fsync on) share the cores as they do for a user. The echo does not read what it decodes and
stores nothing, so that 1.0 would mean that durability and the rules cost nothing.
"""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Sequence

from msgspec import Struct

from load.http_client import Round, closed_loop, post
from load.results import Contest, Pair
from load.servers import HOST, Server, Stage, bare_server

WARM_UP_SHARE = 0.5  # of a round, before the first: imports, connections, statements prepared
OPEN_FILES_SPARE = 100  # of the process's bound, for what is no connection
BODY = json.dumps({"symbol": "EURUSD", "quantity": 10, "side": "buy"}).encode()
EXPECTED = {201}


class Plan(Struct, frozen=True, kw_only=True):
    rounds: int = 5
    seconds: float = 3.0  # of one turn
    connections: int = 64


def measure(plan: Plan, stage: Stage) -> list[Contest]:
    """Raises ServerFailed."""
    require_open_files(plan.connections)
    with bare_server("load.echo_app:create", stage.folder) as bare:
        return [contest(plan, asyncio.run(_rounds(plan, stage.api, bare)))]


def require_open_files(connections: int) -> None:
    """Ends with one line where the connections do not fit the process's bound of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connections + OPEN_FILES_SPARE > soft:
        raise SystemExit(f"error: {connections} connections do not fit {soft} open files (ulimit -n)")


async def _rounds(plan: Plan, durable: Server, bare: Server) -> list[tuple[Round, Round]]:
    for server in (durable, bare):
        await _run(server, plan, plan.seconds * WARM_UP_SHARE)
    return [(await _run(durable, plan, plan.seconds), await _run(bare, plan, plan.seconds)) for _ in range(plan.rounds)]


async def _run(server: Server, plan: Plan, seconds: float) -> Round:
    request = post(f"{HOST}:{server.port}", "/orders", BODY)
    return await closed_loop(HOST, server.port, lambda: request, connections=plan.connections, seconds=seconds)


def contest(plan: Plan, rounds: Sequence[tuple[Round, Round]]) -> Contest:
    turns = (("durable", durable) for durable, _ in rounds), (("bare echo", bare) for _, bare in rounds)
    return Contest(
        name="post",
        product="durable",
        against="bare echo",
        unit="answers/s",
        setting=f"POST /orders, {plan.rounds} x 2 turns of {plan.seconds:g} s, {plan.connections} connections",
        pairs=[pair(durable, bare) for durable, bare in rounds],
        wrong=[f"{name} answered {words}" for part in turns for name, one in part if (words := unexpected(one))],
    )


def pair(durable: Round, bare: Round) -> Pair:
    figures = {}
    for name, one in (("durable", durable), ("bare echo", bare)):
        latencies = sorted(one.latencies_s) or [0.0]
        figures[f"{name}, p50 ms"] = _at(latencies, 0.5) * 1000
        figures[f"{name}, p99 ms"] = _at(latencies, 0.99) * 1000
        figures[f"{name}, worst ms"] = latencies[-1] * 1000
    return Pair(product=durable.per_second, against=bare.per_second, figures=figures)


def unexpected(measured: Round) -> dict[str, int]:
    """Answers that no client should get, and requests without one."""
    others = {str(status): count for status, count in measured.statuses.items() if status not in EXPECTED}
    return {**others, **measured.failures}


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
