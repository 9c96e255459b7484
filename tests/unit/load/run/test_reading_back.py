"""What got no answer is asked again under its key, and some of what was answered, too."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from load.run.feed import Audience
from load.run.ledger import Ledger
from load.run.reading_back import REPEATED, ask_again, read_back
from load.run.service import Service as LoadedService
from load.run.traffic import Target
from load.run.users import Action
from order_client import AsyncOrderClient, InDoubt, Invalid, OrderClientError, Unavailable


class Service:
    """Has an order for every key, unless it is to raise something."""

    def __init__(self, **errors: OrderClientError) -> None:
        self.asked: Counter[str] = Counter()
        self._errors = errors

    async def place(self, *, client_order_id: str, timeout_s: float, **terms: Any) -> Any:
        self.asked[client_order_id] += 1
        if client_order_id in self._errors:
            raise self._errors[client_order_id]
        return SimpleNamespace(order_id=f"order-of-{client_order_id}")


def sent(*keys: str, answered: bool) -> Ledger:
    ledger = Ledger()
    for key in keys:
        body = f'{{"client_order_id": "{key}", "quantity": 1}}'.encode()
        ledger.sends(Action(operation="place", method="POST", target="/orders", key=key, body=body))
        if answered:
            ledger.answered(key, 201, f"order-of-{key}")
    return ledger


def asked_again(ledger: Ledger, service: Service) -> dict[str, str]:
    return asyncio.run(ask_again(cast(AsyncOrderClient, service), ledger))


def test_an_order_without_an_answer_gets_one() -> None:
    ledger = sent("a", "b", answered=False)
    assert asked_again(ledger, Service()) == {"a": "order-of-a", "b": "order-of-b"}
    assert (ledger.unanswered, set(ledger.accepted)) == ([], {"order-of-a", "order-of-b"})


@pytest.mark.parametrize(
    ("error", "unanswered", "refused"),
    [
        (InDoubt("nobody answered"), ["a"], {}),
        (Unavailable("not now", status=503), ["a"], {}),
        (Invalid("wrong", status=422), [], {"422": 1}),
    ],
)
def test_what_nobody_can_tell_stays_open_and_a_refusal_settles(
    error: OrderClientError, unanswered: list[str], refused: dict[str, int]
) -> None:
    ledger = sent("a", answered=False)
    assert asked_again(ledger, Service(a=error)) == {}
    assert (ledger.unanswered, ledger.refused) == (unanswered, refused)


def test_a_hundred_orders_that_were_answered_are_asked_for_again_and_no_more() -> None:
    ledger, service = sent(*(f"k{number}" for number in range(1_050)), answered=True), Service()
    assert len(asked_again(ledger, service)) == REPEATED == len(service.asked)
    assert not ledger.findings


@pytest.mark.parametrize(("heard", "answered"), [(7, 9), (9, 7)])
def test_what_is_read_back_is_as_fresh_as_any_answer_and_any_socket(heard: int, answered: int) -> None:
    asked: list[int] = []

    async def nothing(*, min_position: int, **filters: Any) -> AsyncIterator[Any]:
        asked.append(min_position)
        none: list[Any] = []
        for row in none:
            yield row

    client = cast(AsyncOrderClient, SimpleNamespace(position=5, list=nothing, trades=nothing))
    service = cast(LoadedService, SimpleNamespace(journal=lambda: None))
    audience = Audience(Target(base_url="http://127.0.0.1:1"), sockets=1, prefix="load-", after=heard, on_delay=print)
    since = datetime.now(UTC)
    asyncio.run(read_back(client, service, audience, {}, prefix="load-", since=since, after=0, answered=answered))
    assert asked == [9, 9]
