"""`orders up`: its parts have their time to stop, one after another."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from exchange_adapter.bounds import CLOSE_WAIT_S, END_S
from order_service.bounds import FAST_STOP_S, IMMEDIATE_STOP_S
from order_service.configuration.settings import load_settings
from order_service.processes.up import STOP_ORDER, parts_of, told_by

CONTRACT_S = 10.0
A_CALL_S = 0.5  # of the place_order that most will plug in


def test_all_parts_and_the_database_stop_one_after_another_within_ten_seconds() -> None:
    parts = parts_of(load_settings({"AMQP_URL": "amqp://127.0.0.1/"}))
    assert {part.name for part in parts} == set(STOP_ORDER)
    in_turn = sum(part.stop_s for part in parts if not part.at_once)
    assert in_turn + FAST_STOP_S + IMMEDIATE_STOP_S < CONTRACT_S
    assert all(part.stop_s <= in_turn for part in parts if part.at_once)


def test_there_is_a_relay_where_there_is_a_broker() -> None:
    assert {part.name for part in parts_of(load_settings({}))} == set(STOP_ORDER) - {"relay"}


def test_the_adapter_has_time_to_end_a_usual_call_and_to_close_before_it_is_killed() -> None:
    (adapter,) = (part for part in parts_of(load_settings({})) if part.name == "adapter")
    assert END_S > 4 * CLOSE_WAIT_S
    assert adapter.stop_s - END_S > A_CALL_S


SECRET = "s3cret#pass"
URL = f"postgresql://orders:{SECRET}@db/orders"


@pytest.fixture
def logging_kept() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    root.handlers, root.level = before, level
    structlog.reset_defaults()


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.usefixtures("logging_kept")
def test_no_line_of_the_supervisor_shows_a_secret(environment: str, capsys: pytest.CaptureFixture[str]) -> None:
    for told in told_by(load_settings({"DATABASE_URL": URL, "ENVIRONMENT": environment})):
        told(f"the server said {SECRET} here")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("the server said *** here" in line for line in lines)


@pytest.mark.usefixtures("logging_kept")
def test_its_log_lines_are_those_of_the_set_level(capsys: pytest.CaptureFixture[str]) -> None:
    tell, warn = told_by(load_settings({"ENVIRONMENT": "production", "LOG_LEVEL": "warning"}))
    tell("started")
    warn("ended")
    (line,) = capsys.readouterr().err.splitlines()
    assert '"event": "ended"' in line
