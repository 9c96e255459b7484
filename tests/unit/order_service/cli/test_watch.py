"""watch: the feed in a terminal, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.unit.order_service.cli.conftest import Run

MESSAGE = {"position": 7, "event": "OrderPlaced", "status": "Placed", "side": "buy", "order_id": "o"}
KEPT = json.dumps(MESSAGE)


@contextmanager
def feed(handler: Callable[[ServerConnection], None]) -> Iterator[str]:
    with serve(handler, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_messages_are_lines_and_the_filters_reach_the_feed(run: Run) -> None:
    asked: list[str] = []

    def tell(socket: ServerConnection) -> None:
        assert socket.request is not None
        asked.append(socket.request.path)
        socket.send(KEPT)
        socket.close(1001, "the service stops")

    with feed(tell) as url:
        done = run("watch", "--symbol", "EUR&USD", "--order", "o", "--detail", BASE_URL=url)
    assert asked == ["/ws?symbol=EUR%26USD&order_id=o&detail=true"]
    assert done.stdout == "7\t\tOrderPlaced\tPlaced\tbuy\t\t\t\to\n"
    assert done.exit_code == 5
    assert "error: the service has closed the feed: the service stops\n" in done.stderr


def test_json_lines_are_the_messages_as_they_came(run: Run) -> None:
    with feed(lambda socket: socket.send(KEPT)) as url:
        done = run("watch", "--json", BASE_URL=url)
    assert done.stdout == f"{KEPT}\n"


def test_a_wrong_parameter_is_wrong_use(run: Run) -> None:
    with feed(lambda socket: socket.close(4422, "symbol: not supported")) as url:
        done = run("watch", BASE_URL=url)
    assert done.exit_code == 2
    assert "error: symbol: not supported\n" in done.stderr


def test_a_client_that_was_too_slow_hears_why_and_where(run: Run) -> None:
    with feed(lambda socket: socket.close(4408, "too slow; resume after 17")) as url:
        done = run("watch", BASE_URL=url)
    assert done.exit_code == 5
    assert "resume after 17" in done.stderr


def test_no_feed_is_exit_code_5(run: Run) -> None:
    done = run("watch", BASE_URL="http://127.0.0.1:1")
    assert done.exit_code == 5
    assert "orders up" in done.stderr


def test_ctrl_c_is_the_normal_end_and_quiet() -> None:
    def tell(socket: ServerConnection) -> None:
        socket.send(KEPT)
        for _ in socket:  # until the client ends it
            pass

    with feed(tell) as url:
        command = [sys.executable, "-m", "order_service", "watch"]
        environment = {**os.environ, "BASE_URL": url}
        process = subprocess.Popen(
            command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)
    assert process.returncode == 0
    assert stderr.splitlines() == [f"watching {url.replace('http', 'ws')}/ws; Ctrl-C ends it"]
