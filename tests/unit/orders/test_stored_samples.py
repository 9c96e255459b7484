"""What was stored once stays readable: a committed sample of each event, in each schema version that was ever written.

The samples are bytes as a release wrote them. They are added to, never changed: where one fails, old logs fail too.
"""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest

from orders.domain import events as e
from orders.domain.order import evolve, view
from orders.domain.values import Evidence, OrdStatus, Side, TimeInForce
from orders.eventstore import codec
from orders.eventstore.port import UnknownEvent

SAMPLES = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parent / "samples").glob("*.json"))}
PLACED = SAMPLES["OrderPlaced.v1"]
ORDER_ID = UUID("0192d3a0-0000-7000-8000-000000000001")

MOST_BYTES = {
    "OrderPlaced.v1": 300,  # a plain market order
    "ReportUnmatched.v1": 400,  # and the venue's own report in it
    # The rest: a limit order with every field, by its longest names.
    "SubmitStarted.v1": 450,
    "SubmitFailed.v1": 510,
    "SubmitInDoubt.v1": 460,
    "OrderAccepted.v1": 460,
    "OrderRejected.v1": 490,
    "OrderExecuted.v1": 570,
    "ExecutionBusted.v1": 490,
    "ExecutionCorrected.v1": 590,
    "CancelRequested.v1": 430,
    "OrderCanceled.v1": 540,
    "CancelRejected.v1": 540,
    "ReplaceRequested.v1": 480,
    "OrderReplaced.v1": 550,
    "ReplaceRejected.v1": 540,
    "OrderExpired.v1": 500,
    "PlacementParked.v1": 480,
    "PlacementResumed.v1": 410,
    "OperatorResolved.v1": 500,
}
"""Of each sample. What an event costs in bytes it costs in every log, replay and message for ever."""


@pytest.mark.parametrize("topic", SAMPLES)
def test_a_stored_event_reads_as_it_was_written(topic: str) -> None:
    event = codec.decode(topic, SAMPLES[topic])
    assert f"{e.event_name(event)}.v1" == topic
    assert codec.encode(event) == SAMPLES[topic]


def test_every_event_has_a_sample_of_its_present_version() -> None:
    assert {kind.__struct_config__.tag for kind in get_args(e.AnyEvent)} <= set(SAMPLES)


def test_a_placed_order_reads_in_full() -> None:
    event = codec.decode("OrderPlaced.v1", PLACED)
    assert isinstance(event, e.OrderPlaced)
    assert (event.at, event.by) == (datetime(2026, 11, 20, 9, 30, 15, 123456, UTC), "local")
    assert (event.after.account, event.after.symbol, event.after.quantity) == ("local", "EURUSD", 10)
    assert (event.after.side, event.after.time_in_force) == (Side.BUY, TimeInForce.GTC)
    assert view(evolve(ORDER_ID, None, event)) == event.after


def test_a_fill_reads_in_full() -> None:
    event = codec.decode("OrderExecuted.v1", SAMPLES["OrderExecuted.v1"])
    assert isinstance(event, e.OrderExecuted)
    assert (event.exec_id, event.quantity, event.price, event.leaves) == ("E5c1f09aa-18", 400, Decimal("118.52"), 800)
    assert event.evidence is Evidence.VENUE_REPORT
    assert event.after.average_price == Decimal("118.52")
    assert event.after.ord_status is OrdStatus.PARTIALLY_FILLED


@pytest.mark.parametrize("topic", SAMPLES)
def test_an_event_costs_no_more_bytes_than_it_should(topic: str) -> None:
    assert len(SAMPLES[topic]) <= MOST_BYTES[topic]


@pytest.mark.parametrize(
    "price", ["1.10", "1.1", "0.00001", "118.525", "123456789012345678", "0.000000000000000001", "1E+2", "-37.63"]
)
def test_a_price_is_stored_to_the_digit(price: str) -> None:
    stored = SAMPLES["OrderExecuted.v1"].replace(b'"118.52"', f'"{price}"'.encode())
    event = codec.decode("OrderExecuted.v1", stored)
    assert isinstance(event, e.OrderExecuted)
    assert event.price.as_tuple() == Decimal(price).as_tuple()
    assert codec.decode("OrderExecuted.v1", codec.encode(event)) == event


def _from_v0(stored: dict[str, Any]) -> dict[str, Any]:
    """A release that never was: the symbol was called a ticker, and the account was not known."""
    after = dict(stored["after"])
    after["symbol"] = after.pop("ticker")
    return {**stored, "event": "OrderPlaced.v1", "after": {"account": "local", **after}}


V0 = msgspec.json.encode(
    {
        "event": "OrderPlaced.v0",
        "event_id": "c2ad745d-a554-5133-949c-157eb70088ed",
        "at": "2026-11-20T09:30:15.123456Z",
        "by": "local",
        "after": {"ticker": "EURUSD", "quantity": 10, "created_at": "2026-11-20T09:30:15.123456Z"},
    }
)


def test_an_older_version_is_brought_up_to_the_present_one() -> None:
    event = codec.decode("OrderPlaced.v0", V0, upcasters={"OrderPlaced.v0": _from_v0})
    assert event == codec.decode("OrderPlaced.v1", PLACED)


def test_versions_are_brought_up_one_after_the_other() -> None:
    def from_still_older(stored: dict[str, Any]) -> dict[str, Any]:
        after = {"ticker": stored["ticker"], "quantity": stored["size"], "created_at": stored["at"]}
        return {name: stored[name] for name in ("event_id", "at", "by")} | {"event": "OrderPlaced.v0", "after": after}

    oldest = msgspec.json.decode(V0) | {"event": "OrderPlaced.v-1", "ticker": "EURUSD", "size": 10}
    steps = {"OrderPlaced.v-1": from_still_older, "OrderPlaced.v0": _from_v0}
    event = codec.decode("OrderPlaced.v-1", msgspec.json.encode(oldest), upcasters=steps)
    assert event == codec.decode("OrderPlaced.v1", PLACED)


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("OrderPlaced.v0", V0),
        ("OrderPlaced.v9", PLACED.replace(b"OrderPlaced.v1", b"OrderPlaced.v9")),
        ("OrderPlaced.v1", PLACED.replace(b'"quantity":10', b'"quantity":"ten"')),
        ("OrderPlaced.v1", PLACED.replace(b'"by":"local",', b"")),
        ("OrderPlaced.v1", PLACED[:-1]),
        ("OrderPlaced.v1", PLACED.replace(b'"by":"local"', b'"by":"\xff"')),
        ("OrderPlaced.v1", PLACED.replace(b"{", b'{"more":' + b"[" * 100_000, 1)),
        ("OrderPlaced.v1", b""),
    ],
)
def test_what_this_release_cannot_read_is_said(topic: str, state: bytes) -> None:
    with pytest.raises(UnknownEvent, match=topic):
        codec.decode(topic, state)


def test_an_older_version_that_cannot_be_read_is_said_too() -> None:
    for state in (V0[:-1], b'{"at":1}', b"[]"):
        with pytest.raises(UnknownEvent, match="v0"):
            codec.decode("OrderPlaced.v0", state, upcasters={"OrderPlaced.v0": _from_v0})
