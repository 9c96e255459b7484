"""Why a request is refused before it is looked at. Time is virtual."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from simulated_exchange.exchange import Exchange
from simulated_exchange.faults import FaultPlan, Faults
from simulated_exchange.protocol import AnyAnswer, Refused
from simulated_exchange.report_log import ReportLog
from tests.support.exchange_client import submission
from tests.support.exchange_floor import Floor
from tests.support.virtual_time import VirtualLoop, run_virtually


class Client:
    """One connection, and the answers it got."""

    def __init__(self) -> None:
        self.answers: list[AnyAnswer] = []

    def answer(self, key: object, answer: AnyAnswer) -> None:
        self.answers.append(answer)


def answers(plan: FaultPlan, requests: int) -> list[AnyAnswer]:
    """What so many submits at once are answered in the same moment."""
    client = Client()

    async def life(loop: VirtualLoop) -> None:
        exchange = Exchange(Floor().engine, cast(Any, None), ReportLog(), Faults(plan, 1))
        for number in range(requests):
            exchange.take(cast(Any, client), msgspec.json.encode({"id": number, **submission(f"o-{number}")}))
        exchange.stop()

    run_virtually(life)
    return client.answers


def test_an_injected_error_says_so() -> None:
    assert answers(FaultPlan(error_rate=1.0), 1) == [Refused("unavailable", "an error was injected")]


@pytest.mark.parametrize("waiting", [FaultPlan(latency_s=(1.0, 1.0)), FaultPlan(capacity=1)])
def test_past_a_bound_of_requests_that_wait_the_next_is_told_of_them(
    waiting: FaultPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulated_exchange.exchange.MAX_DELAYED", 2)
    monkeypatch.setattr("simulated_exchange.exchange.Exchange._carry_out", lambda *given: None)
    passed = bool(waiting.capacity)  # the first of them
    assert answers(waiting, 3 + passed) == [Refused("unavailable", "100000 requests wait already")]
