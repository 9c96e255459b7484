"""Each event of an order is a log line of the process that recorded it; what an operator should see is above debug."""

from __future__ import annotations

import logging

import pytest
from msgspec.structs import replace

from orders.domain import commands as c
from orders.domain.events import OrderEvent
from orders.event_lines import _WORDS, log_events
from orders.eventstore.port import Recorded
from tests.support.order_lives import FIRST_POSITION, ID, OPERATOR, Life, filled, in_doubt, parked

LOGGER = "orders.event_lines"


def lines(caplog: pytest.LogCaptureFixture, life: Life, level: int) -> list[tuple[str, str]]:
    with caplog.at_level(level, LOGGER):
        log_events(life.recorded)
    return [(record.levelname, record.message) for record in caplog.records if record.name == LOGGER]


def test_on_debug_every_event_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    assert lines(caplog, filled(), logging.DEBUG) == [
        ("DEBUG", "order accepted"),
        ("DEBUG", "order about to be sent"),
        ("DEBUG", "order at the exchange"),
        ("DEBUG", "order executed"),
    ]


def test_the_plain_life_of_an_order_is_silent_on_info(caplog: pytest.LogCaptureFixture) -> None:
    assert lines(caplog, filled(), logging.INFO) == []


def test_what_an_operator_may_ask_about_is_told_on_info(caplog: pytest.LogCaptureFixture) -> None:
    settled = in_doubt().then(1, c.ResolveDoubt, OPERATOR, placed=False, reason="they have no such order")
    told = [("WARNING", "order in doubt"), ("INFO", "order settled by a person")]
    assert lines(caplog, settled, logging.INFO) == told
    caplog.clear()
    assert lines(caplog, parked(), logging.INFO) == [("ERROR", "order parked")]


def test_a_line_names_order_position_who_why_and_the_trace(caplog: pytest.LogCaptureFixture) -> None:
    doubt = in_doubt().recorded[-1]
    event = replace(doubt.event, trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    log_events([Recorded(doubt.position, doubt.stream_id, doubt.version, event)])
    (record,) = [record for record in caplog.records if record.name == LOGGER]
    names = ("order_id", "position", "by", "status", "delivery", "attempt", "reason", "trace_id")
    assert [getattr(record, name) for name in names] == [
        *(str(ID), FIRST_POSITION + 2, "exchange adapter", "Placed", "in_doubt", 1),
        *("no answer within 10 s", "4bf92f3577b34da6a3ce929d0e0e4736"),
    ]


def test_every_event_of_an_order_has_a_level_and_words() -> None:
    assert set(_WORDS) == set(OrderEvent.__subclasses__())
