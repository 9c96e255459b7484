"""What the campaigns on the read side find in what clients saw."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from load.balance import Findings
from load.http_client import Answer
from tests.campaigns import alternations, sockets

PLACED, FILLED, TRADE = (1, "OrderPlaced", "Placed"), (3, "OrderExecuted", "Executed"), (3, "trade", "")
CANCELED = (4, "OrderCanceled", "Canceled")
TOLD = {"AAAA": [PLACED, FILLED, TRADE, CANCELED]}
LEFT = {"id": "a", "version": 2, "status": "Placed", "quantity": 10, "position": 7}


@pytest.mark.parametrize(
    ("query", "seen", "found"),
    [
        ("symbol=AAAA&batch=true", [PLACED, FILLED, CANCELED], None),
        ("symbol=AAAA&channels=orders,trades", [PLACED, FILLED, TRADE, CANCELED], None),
        ("symbol=BBBB", [], None),
        ("symbol=AAAA", [PLACED, CANCELED], "lost"),
        ("symbol=AAAA", [PLACED, FILLED, FILLED, CANCELED], "repeated"),
        ("symbol=AAAA&channels=orders,trades", [PLACED, FILLED, CANCELED], "lost"),
        ("symbol=AAAA", [PLACED, CANCELED, FILLED], "disorder"),
        ("symbol=BBBB", [FILLED], "repeated"),
        ("symbol=AAAA&channels=orders,trades", [PLACED, FILLED, FILLED, CANCELED], "lost"),
    ],
)
def test_a_client_saw_the_messages_of_its_filter_once_and_in_order(
    query: str, seen: list[sockets.Seen], found: str | None
) -> None:
    findings = Findings()
    sockets.judge(query, seen, TOLD, findings)
    assert list(findings.counts)[:1] == ([] if found is None else [found])


class _Refusing:
    """The API, as far as the campaign knows it: it takes orders, and shows none."""

    async def ask(self, request: bytes) -> Answer:
        if request.startswith(b"POST"):
            return Answer(201, b"HTTP/1.1 201 x", msgspec.json.encode({**LEFT, "client_order_id": "k"}))
        return Answer(503, b"HTTP/1.1 503 x\r\nRetry-After: 1", b"{}")


@pytest.mark.anyio
async def test_a_read_that_is_refused_for_now_is_a_finding() -> None:
    outcome = alternations.Outcome()
    await alternations.Alternating([_Refusing()], "AAAA", random.Random(1), outcome).alternate()  # type: ignore[list-item]
    assert list(outcome.findings.counts) == ["refused"]


@pytest.mark.parametrize(
    ("status", "position", "read", "found"),
    [
        (200, 7, LEFT, []),
        (200, 9, [{"id": "b"}, LEFT], []),
        (200, 7, [], ["missing"]),
        (200, 7, {**LEFT, "version": 1}, ["older"]),
        (200, 7, {**LEFT, "status": "Canceled"}, ["older"]),
        (200, 6, LEFT, ["behind"]),
        (404, 7, {}, ["refused"]),
        (503, 7, {}, ["refused"]),
    ],
)
def test_what_is_read_is_as_it_was_left(status: int, position: int, read: Any, found: list[str]) -> None:
    findings = Findings()
    answer = Answer(status, f"HTTP/1.1 {status} x\r\nOrders-Position: {position}".encode(), msgspec.json.encode(read))
    alternations.judge(LEFT, "/orders", answer, findings)
    assert list(findings.counts) == found
