"""watch: the feed in a terminal, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from order_service.cli import watch
from tests.support.scripted_feed import ScriptedFeed, closing, frames, scripted_feed
from tests.unit.order_service.cli.conftest import Run

MESSAGE = {"position": 7, "event": "OrderPlaced", "status": "Placed", "side": "buy", "order_id": "o"}
LATER = {**MESSAGE, "position": 9, "event": "OrderExecuted", "status": "Executed"}
LINE = "7\t\tOrderPlaced\tPlaced\tbuy\t\t\t\to\n"
LATER_LINE = "9\t\tOrderExecuted\tExecuted\tbuy\t\t\t\to\n"


@pytest.fixture
def feed() -> Iterator[ScriptedFeed]:
    with scripted_feed(position=5) as feed:
        yield feed


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_messages_are_lines_and_the_filters_reach_the_feed(run: Run, feed: ScriptedFeed) -> None:
    feed.plays(closing(4422, "symbol: not supported", MESSAGE))
    done = run("watch", "--symbol", "EUR&USD", "--order", "o", "--detail", BASE_URL=feed.url)
    assert feed.asked[1:] == ["/ws?symbol=EUR%26USD&order_id=o&detail=true&batch=true&after=5"]
    assert done.stdout == LINE
    assert done.exit_code == 2
    assert "error: symbol: not supported\n" in done.stderr


def test_it_goes_on_over_restarts_of_the_service_and_says_so(run: Run, feed: ScriptedFeed) -> None:
    feed.plays(closing(1012, "the service restarts", MESSAGE), closing(4422, "enough", MESSAGE, LATER))
    done = run("watch", "--after", "3", BASE_URL=feed.url)
    assert [path.rpartition("=")[2] for path in feed.asked[1:]] == ["3", "7"]
    assert done.stdout == LINE + LATER_LINE
    assert done.stderr.count("the service restarts; trying again\n") == 1


def test_the_same_reason_is_told_once(run: Run, feed: ScriptedFeed) -> None:
    full = closing(1013, "too many clients, try again later")
    feed.plays(full, full, closing(4422, "enough"))
    assert run("watch", BASE_URL=feed.url).stderr.count("too many clients") == 1


def test_it_says_that_it_watches_when_it_does(run: Run, feed: ScriptedFeed) -> None:
    feed.plays(closing(4422, "after: beyond the log's last position"))
    assert "watching" not in run("watch", "--after", "99999", BASE_URL=feed.url).stderr
    feed.plays(closing(4422, "enough", {"type": "caught_up", "position": 5}))
    done = run("watch", "--json", BASE_URL=feed.url)
    assert done.stderr.startswith("watching ")
    assert done.stdout == ""


def test_json_lines_are_the_messages_as_they_came(run: Run, feed: ScriptedFeed) -> None:
    feed.plays(closing(4422, "enough", [MESSAGE, {**LATER, "later": 1}]))
    done = run("watch", "--json", BASE_URL=feed.url)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [MESSAGE, {**LATER, "later": 1}]


@pytest.mark.parametrize("options", [[], ["--after", "0"]])
def test_no_feed_is_exit_code_5(run: Run, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    monkeypatch.setattr(watch, "WATCH_START_S", 0.2)
    done = run("watch", *options, BASE_URL="http://127.0.0.1:1")
    assert done.exit_code == 5
    assert "orders up" in done.stderr


def test_ctrl_c_is_the_normal_end_and_quiet(feed: ScriptedFeed) -> None:
    feed.plays(frames(MESSAGE))
    command = [sys.executable, "-m", "order_service", "watch"]
    environment = {**os.environ, "BASE_URL": feed.url}
    process = subprocess.Popen(
        command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == 0
    assert stderr.splitlines() == [f"watching {feed.url.replace('http', 'ws')}/ws; Ctrl-C ends it"]
