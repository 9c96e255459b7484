"""examples/event_consumer.py, without a broker. With one: tests/integration/test_relay.py."""

import asyncio
import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from examples import event_consumer as example


class Message:
    headers: ClassVar = {"cloudEvents_type": "order-service.OrderExecuted.v1"}
    message_id = "m"
    body = json.dumps(
        {"order_id": "o", "version": 3, "symbol": "EURUSD", "side": "buy", "filled_quantity": 5, "average_price": "1.1"}
    ).encode()

    def __init__(self) -> None:
        self.answers: list[str] = []

    async def ack(self) -> None:
        self.answers.append("done")

    async def reject(self, *, requeue: bool) -> None:
        self.answers.append("returned" if requeue else "dead")


def test_a_file_that_cannot_be_written_keeps_the_message_waiting_and_gives_it_back_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "TRY_AGAIN_S", 0.001)
    database = example.open_file(str(tmp_path / "filled.db"))
    other = sqlite3.connect(tmp_path / "filled.db")
    database.execute("pragma busy_timeout = 1")
    message = Message()

    async def play() -> None:
        other.execute("begin exclusive")
        taking = asyncio.ensure_future(example.take(cast(Any, message), database))
        await asyncio.wait({taking}, timeout=0.1)
        assert not taking.done()
        assert message.answers == []
        other.rollback()
        await asyncio.wait_for(taking, 5.0)

    asyncio.run(play())
    assert message.answers == ["done"]
    assert other.execute("select quantity from filled").fetchall() == [(5,)]


def test_its_queue_is_bounded_and_never_takes_a_message_that_was_given_back_often_for_a_bad_one() -> None:
    declared: dict[str, dict[str, Any]] = {}

    class Over(Exception):
        pass

    async def declare_queue(name: str, *, durable: bool, arguments: dict[str, Any]) -> None:
        declared[name] = arguments
        if name == example.QUEUE:
            raise Over

    async def nothing(*given: object, **named: object) -> None: ...

    async def channel() -> object:
        return SimpleNamespace(set_qos=nothing, declare_exchange=nothing, declare_queue=declare_queue)

    with pytest.raises(Over):
        asyncio.run(example.consume(cast(Any, SimpleNamespace(channel=channel)), cast(Any, None)))
    ours = declared[example.QUEUE]
    assert ours["x-delivery-limit"] >= 1_000_000, "RabbitMQ 4 gives up after 20"
    assert ours["x-max-length"] > 0
    assert ours["x-overflow"] == "drop-head", "one that refuses more holds up the events of everyone"
