"""POST /orders/batch against binary COPY of the very same rows.

Clients send batches of new orders, each with a key, as fast as they are answered. Then the rows that this made are
copied once more by binary COPY, as many a commit as a batch has orders, into a table with the log's constraints,
indexes and trigger. Clients, API and PostgreSQL (fsync on) share the cores; COPY has them alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from uuid import uuid4

import msgspec
import psycopg
from msgspec import Struct

from load.http_client import Round, closed_loop, post
from load.raw_copy import RawCopy
from load.results import Contest, Pair
from load.servers import HOST, Server, Stage

WARM_UP_SHARE = 0.5  # of a round
STAMP = b"XXXXXXXXXXXX"
"""Stands in the keys of the body that is made once; each batch has a stamp of its own."""


class Plan(Struct, frozen=True, kw_only=True):
    rounds: int = 5
    seconds: float = 2.0  # of a turn of batches; copying their rows takes a part of that
    orders: int = 500  # a batch
    connections: int = 4


def measure(plan: Plan, stage: Stage) -> list[Contest]:
    wrong: list[str] = []
    pairs = []
    requests = _requests(stage.api, plan.orders)
    with RawCopy(stage.url) as copy, psycopg.connect(stage.url, autocommit=True) as log:
        asyncio.run(_batches(stage.api, plan, requests, plan.seconds * WARM_UP_SHARE))
        began_at = _head(log)
        for _ in range(plan.rounds):
            before = _head(log)
            measured = asyncio.run(_batches(stage.api, plan, requests, plan.seconds))
            head = _head(log)
            wrong += _missing(measured, head - before, plan.orders)
            against = copy.rows_per_second(before, head, batch_rows=plan.orders)
            latencies = sorted(measured.latencies_s) or [0.0]
            figures = {"a batch, p50 ms": latencies[len(latencies) // 2] * 1000, "worst ms": latencies[-1] * 1000}
            pairs.append(Pair(product=measured.per_second * plan.orders, against=against, figures=figures))
        if differing := copy.differences(began_at):
            wrong.append(f"{differing} orders were not copied as they are")
    return [
        Contest(
            name="batch",
            product="orders by batch",
            against="binary COPY",
            unit="rows/s",
            setting=f"{plan.rounds} x 2 turns: {plan.seconds:g} s of POST /orders/batch with {plan.orders} orders each"
            f" over {plan.connections} connections, then COPY of their rows, {plan.orders} a commit",
            pairs=pairs,
            wrong=wrong,
        )
    ]


def _requests(server: Server, orders: int) -> Callable[[], bytes]:
    """Batches of which no two have a key in common."""
    body = msgspec.json.encode({"orders": [_order(number) for number in range(orders)]})
    request = post(f"{HOST}:{server.port}", "/orders/batch", body)
    numbers = count()
    run = uuid4().hex[:4].encode()
    return lambda: request.replace(STAMP, run + b"%08d" % next(numbers))


def _order(number: int) -> dict[str, object]:
    """Half of them market orders, half limit orders at some hundred prices."""
    order: dict[str, object] = {"symbol": "EURUSD", "quantity": 10, "side": "sell" if number % 3 else "buy"}
    if number % 2:
        order["limit_price"] = f"1.{10_000 + number % 200}"
    return {**order, "client_order_id": f"{STAMP.decode()}-{number}"}


async def _batches(server: Server, plan: Plan, requests: Callable[[], bytes], seconds: float) -> Round:
    return await closed_loop(HOST, server.port, requests, connections=plan.connections, seconds=seconds)


def _head(log: psycopg.Connection[tuple[object, ...]]) -> int:
    row = log.execute("select coalesce(max(notification_id), 0) from public.order_events").fetchone()
    assert row is not None
    return int(str(row[0]))


def _missing(measured: Round, events: int, orders: int) -> list[str]:
    answered = measured.statuses.get(200, 0)
    found = [f"{count} answers of {status}" for status, count in measured.statuses.items() if status != 200]
    found += [f"{count} requests without an answer: {reason}" for reason, count in measured.failures.items()]
    if not found and events != answered * orders:
        found.append(f"{answered} batches of {orders} orders made {events} events")
    return found
