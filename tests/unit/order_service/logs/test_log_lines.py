"""Log lines: one an event, JSON where nobody looks at a terminal, and never a secret."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import structlog

from order_service.errors import UnreachableError
from order_service.logs.log_lines import configure_logs
from order_service.logs.trace_context import current_trace
from order_service.migrations import pending

SECRET = "geheim-4711"
URL = f"postgresql://orders:{SECRET}@127.0.0.1:1/orders"


Configure = Callable[..., io.StringIO]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Gives what goes to stderr from then on; the logging of the test run is put back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers, root.level

    def configure(*, production: bool = False, terminal: bool = False, level: str = "info") -> io.StringIO:
        written = io.StringIO()
        monkeypatch.setattr(written, "isatty", lambda: terminal)
        monkeypatch.setattr(sys, "stderr", written)
        configure_logs(production, level)
        return written

    yield configure
    root.handlers, root.level = before, level
    structlog.reset_defaults()


@pytest.fixture
def lines(configure: Configure) -> io.StringIO:
    return configure()


def only(lines: io.StringIO) -> dict[str, Any]:
    (line,) = lines.getvalue().splitlines()
    event: dict[str, Any] = json.loads(line)
    return event


def test_both_kinds_of_loggers_write_one_json_line_an_event(lines: io.StringIO) -> None:
    structlog.get_logger("a").info("order placed", order_id="x")
    logging.getLogger("b").warning("waits %d s", 3, extra={"shard": 7})
    first, second = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (first["event"], first["order_id"], first["level"], first["logger"]) == ("order placed", "x", "info", "a")
    assert (second["event"], second["shard"], second["level"]) == ("waits 3 s", 7, "warning")
    assert first["timestamp"].endswith("Z")


def test_lines_below_the_level_are_not_written(configure: Configure) -> None:
    lines = configure(level="warning")
    logging.getLogger("b").info("starts")
    structlog.get_logger("a").debug("order accepted")
    logging.getLogger("b").warning("waits")
    assert only(lines)["event"] == "waits"


def test_a_line_has_the_trace_of_the_work_at_hand_unless_it_names_its_own(lines: io.StringIO) -> None:
    token = current_trace.set(lambda: "4bf9")
    logging.getLogger("b").info("one")
    logging.getLogger("b").info("two", extra={"trace_id": "an order's"})
    current_trace.set(lambda: None)
    logging.getLogger("b").info("three")
    current_trace.reset(token)
    told = [json.loads(line).get("trace_id") for line in lines.getvalue().splitlines()]
    assert told == ["4bf9", "an order's", None]


def test_an_exception_is_part_of_its_line(lines: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("b").exception("failed")
    assert "ValueError: two" in only(lines)["exception"]


def test_a_terminal_gets_lines_for_people(configure: Configure) -> None:
    lines = configure(terminal=True)
    structlog.get_logger("a").info("order placed", order_id="x")
    assert "order placed" in lines.getvalue()
    assert not lines.getvalue().startswith("{")


def test_what_others_say_begins_no_line_and_changes_nothing_on_a_terminal(configure: Configure) -> None:
    lines = configure(terminal=True)
    said = "GET /orders/\x1b]0;x\x07\n2026-11-21 [error] FAKE\x9b2J"
    structlog.get_logger("a").warning(said, reason=said)
    logging.getLogger("b").warning("%s: %s", said, "x", extra={"path": said})
    assert len(lines.getvalue().splitlines()) == 2
    assert lines.getvalue().count(r"GET /orders/\x1b]0;x\x07\n2026-11-21 [error] FAKE\x9b2J") == 4
    try:
        raise ValueError(f"two\nlines {said}")
    except ValueError:
        logging.getLogger("b").exception("failed")
    assert not any(one in lines.getvalue() for one in ("\x1b]", "\x07", "\x9b"))
    assert r"lines GET /orders/\x1b]0;x\x07" in lines.getvalue()


def test_production_logs_json_on_a_terminal_too(configure: Configure) -> None:
    lines = configure(terminal=True, production=True)
    structlog.get_logger("a").info("order placed")
    assert only(lines)["event"] == "order placed"


@pytest.mark.parametrize("name", ["httpx", "psycopg", "litestar", "granian"])
def test_what_libraries_say_of_every_request_is_left_out(lines: io.StringIO, name: str) -> None:
    logging.getLogger(name).info("GET /orders")
    assert lines.getvalue() == ""


@pytest.mark.parametrize(
    "given", [URL, f"amqp://guest:{SECRET}@127.0.0.1/", f"host=db password={SECRET} user=x", f"?password={SECRET}&a=b"]
)
def test_no_password_reaches_a_line(lines: io.StringIO, given: str) -> None:
    structlog.get_logger("a").error(f"cannot reach {given}", url=given, nested={"urls": [given]})
    logging.getLogger("b").error("cannot reach %s", given)
    try:
        raise ValueError(given)
    except ValueError:
        logging.getLogger("b").exception("failed")
    assert SECRET not in lines.getvalue()
    for line in lines.getvalue().splitlines():
        json.loads(line)


def test_the_rest_of_a_url_stays_readable(lines: io.StringIO) -> None:
    structlog.get_logger("a").error(f"cannot reach {URL}", api="http://127.0.0.1:8000/orders", mail="a:b@c")
    event = only(lines)
    assert event["event"] == "cannot reach postgresql://orders:***@127.0.0.1:1/orders"
    assert (event["api"], event["mail"]) == ("http://127.0.0.1:8000/orders", "a:b@c")


def test_an_unreachable_database_is_named_without_its_password() -> None:
    with pytest.raises(UnreachableError) as caught:
        pending(URL)
    assert "127.0.0.1" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    assert SECRET not in str(caught.value.__cause__)
