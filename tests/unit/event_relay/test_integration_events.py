"""What other services are told: CloudEvents of what clients see, one event a message."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args, get_type_hints
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_relay.integration_events import OrderEventData, integration_messages, routing_key, routing_word
from order_service.security.bounds import MAX_ACCOUNT
from orders.bounds import MAX_SYMBOL
from orders.broker.link import Outgoing
from orders.domain import events as e
from orders.domain.instruments import BUILT_IN
from orders.domain.values import OrderType, OrderView, OrdStatus, Status
from orders.eventstore.port import Recorded
from tests.support import order_events as o

ORDER = UUID("0192d3a0-0000-7000-8000-00000000abcd")
AFTER = OrderView(
    account="desk.7",
    symbol="EURUSD",
    quantity=10,
    type=OrderType.LIMIT,
    limit_price=Decimal("1.1"),
    client_order_id="mine",
    filled_quantity=4,
    average_price=Decimal("1.1"),
    status=Status.PLACED,
    ord_status=OrdStatus.PARTIALLY_FILLED,
)
MESSAGES = integration_messages(BUILT_IN, "https://orders.example.com")


def message_of(event: e.AnyEvent, position: int = 41, version: int = 3) -> Outgoing:
    (message,) = MESSAGES([Recorded(position, ORDER, version, event)])
    return message


def test_a_message_carries_the_event_and_the_order_after_it() -> None:
    at = datetime(2026, 11, 2, 9, 30, 0, 250_000, UTC)
    fill = e.OrderExecuted(
        event_id=UUID(int=9), at=at, by="venue", after=AFTER, exec_id="F-1", quantity=4, price=Decimal("1.1")
    )
    message = message_of(fill)
    assert json.loads(message.body) == {
        "event": "OrderExecuted",
        "event_id": str(UUID(int=9)),
        "order_id": str(ORDER),
        "account": "desk.7",
        "client_order_id": "mine",
        "status": "Placed",
        "ord_status": "PartiallyFilled",
        "symbol": "EURUSD",
        "instrument": None,
        "side": "buy",
        "type": "limit",
        "limit_price": "1.10000",
        "quantity": 10,
        "time_in_force": "gtc",
        "filled_quantity": 4,
        "average_price": "1.1",
        "version": 3,
        "position": 41,
        "time": "2026-11-02T09:30:00.250000Z",
        "exec_id": "F-1",
        "last_quantity": 4,
        "last_price": "1.10000",
    }
    assert message.message_id == str(UUID(int=9))
    assert message.timestamp == at


def test_its_headers_are_the_attributes_of_cloudevents_in_binary_mode() -> None:
    message = message_of(o.told(e.OrderPlaced, event_id=UUID(int=7), after=AFTER))
    assert message.headers == {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": str(UUID(int=7)),
        "cloudEvents_source": "https://orders.example.com",
        "cloudEvents_type": "order-service.OrderPlaced.v1",
        "cloudEvents_subject": str(ORDER),
        "cloudEvents_time": "2026-11-02T09:30:00Z",
        "cloudEvents_dataschema": "urn:order-service:order-event:v1",
        "cloudEvents_sequence": "00000000000000000041",
    }
    assert message.content_type == "application/json"


def test_only_what_clients_see_is_told() -> None:
    internal = [o.started(), o.failed(), o.doubted(), o.accepted(), o.cancel_requested(), o.parked(), o.resumed()]
    seen = [o.placed(), o.executed("F-1"), o.replaced(), o.canceled(), o.rejected(), o.expired(), o.busted("F-1")]
    log = [Recorded(n, ORDER, n, event) for n, event in enumerate([*internal, *seen, o.corrected("F-1", 3)], 1)]
    told = [json.loads(message.body)["event"] for message in MESSAGES(log)]
    assert told == [e.event_name(event) for event in seen] + ["ExecutionCorrected"]
    assert set(get_args(get_type_hints(OrderEventData)["event"])) == {kind.__name__ for kind in e.TOLD_TO_CLIENTS}


def test_the_routing_key_is_event_symbol_and_account_each_one_word() -> None:
    assert message_of(o.told(e.OrderPlaced, after=AFTER)).routing_key == "OrderPlaced.EURUSD.desk%2E7"


@pytest.mark.parametrize(
    ("text", "word"),
    [("desk-7", "desk-7"), ("a.b*c#d e%", "a%2Eb%2Ac%23d%20e%25"), ("Zürich", "Z%C3%BCrich"), ("joe@desk", "joe@desk")],
)
def test_what_may_not_stand_in_a_word_is_written_as_in_a_url(text: str, word: str) -> None:
    assert routing_word(text) == word


ANY_TEXT = st.characters(exclude_categories=["Cs"])


@given(st.text(ANY_TEXT, min_size=1, max_size=MAX_SYMBOL), st.text(ANY_TEXT, min_size=1, max_size=MAX_ACCOUNT))
def test_every_routing_key_is_three_words_that_amqp_takes(symbol: str, account: str) -> None:
    key = routing_key("ExecutionCorrected", symbol, account)
    assert len(key.encode()) <= 255
    assert key.isascii()
    assert key.count(".") == 2
    assert not set("*# ") & set(key)


@given(st.lists(st.text(ANY_TEXT, min_size=1, max_size=MAX_ACCOUNT), unique=True, min_size=2, max_size=2))
def test_two_accounts_never_share_a_word(accounts: list[str]) -> None:
    first, second = map(routing_word, accounts)
    assert first != second
