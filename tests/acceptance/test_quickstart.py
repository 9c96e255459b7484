"""The quickstart, as it is written: every command of it is run, in its order, against the whole service."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.running_service import ROOT, RunningService, running_service
from tests.support.waiting import wait_until

PAGE = ROOT / "docs/quickstart.md"
ADDRESS = "http://127.0.0.1:8000"
STARTS_A_SERVICE = re.compile(r"make run$")  # every test of this folder does that
ENDS_BY_CTRL_C = re.compile(r"orders watch$")

Shown = Callable[[str], object]


def commands() -> list[str]:
    """What a reader would type: the lines of the indented blocks, continued ones joined."""
    blocks = re.findall(r"(?:^ {4}\S.*(?:\n {4}.*)*)", PAGE.read_text(), flags=re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+", " ", line).strip() for line in lines]


def order(status: str) -> Shown:
    return lambda shown: json.loads(shown)["status"] == status


EXPECTED: dict[str, Shown] = {
    r"""curl -s .*/orders -H .* -d '\{"symbol": "EURUSD", "quantity": 10\}'""": order("Placed"),
    r"curl -s \S*/orders/ID": order("Executed"),
    r"curl -s '.*/orders\?status=Executed&limit=10'": lambda shown: json.loads(shown)[0]["status"] == "Executed",
    r"""curl -s .*/orders -H .*"limit_price": "1.05000"\}'""": order("Placed"),
    r"curl -s -X PUT .*/orders/ID .*": lambda shown: json.loads(shown)["quantity"] == 20,
    r"curl -s -X DELETE .*/orders/ID": order("Canceled"),
    r"curl -si .* -H 'Idempotency-Key: mine-1' .*": lambda shown: shown.startswith("HTTP/1.1 201"),
    r"curl -s .*/orders/ID/events": lambda shown: json.loads(shown)[0]["event"] == "OrderPlaced",
}
"""What each shows. A command without an entry here fails the test: it would not be looked at."""


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with running_service() as service:
        yield service


def typed(command: str, service: RunningService, order_id: str) -> str:
    """The command with this service's address and the order's id, as a reader would put them in."""
    here = command.replace(ADDRESS, service.url).replace(".venv/bin/orders", f"{Path(sys.executable).parent}/orders")
    return re.sub(r"\bID\b", order_id, here)


def shows(command: str) -> Shown:
    found = [shown for pattern, shown in EXPECTED.items() if re.fullmatch(pattern, command)]
    assert len(found) == 1, f"what does this show? {command}"
    return found[0]


def run(command: str, service: RunningService) -> str:
    done = subprocess.run(
        ["bash", "-c", command], env=service.environment, check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


def last_order(shown: str) -> dict[str, Any] | None:
    found = re.search(r'\{"id":.*\}', shown)
    return json.loads(found[0]) if found and not shown.startswith("[") else None


def wait_as_the_reader_did(service: RunningService, order_id: str, *, changes: bool) -> None:
    """For the exchange to have what is to be changed, for the end of what is looked at."""

    def reached() -> bool:
        order = service.order(order_id)
        return bool(order["delivery"] == "acked" if changes else order["status"] != "Placed")

    wait_until(reached, within_s=20, what="the order's next step")


def test_every_command_of_the_quickstart_does_what_it_says(service: RunningService) -> None:
    order_id, ran = "", 0
    for command in commands():
        if STARTS_A_SERVICE.search(command) or ENDS_BY_CTRL_C.search(command):
            continue
        if "/orders/ID" in command:
            wait_as_the_reader_did(service, order_id, changes="-X" in command)
        shown = run(typed(command, service, order_id), service)
        assert shows(command)(shown), (command, shown)
        if (told := last_order(shown)) is not None:
            order_id = told["id"]
        ran += 1
    assert ran == len(EXPECTED)


def test_watching_goes_on_until_ctrl_c(service: RunningService) -> None:
    (command,) = [one for one in commands() if ENDS_BY_CTRL_C.search(one)]
    argv = typed(command, service, "").split()
    with subprocess.Popen(
        argv, env={**os.environ, **service.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stderr is not None
        assert watching.stdout is not None
        assert "Ctrl-C" in watching.stderr.readline()
        order_id = service.place()["id"]
        assert order_id in watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        watching.wait(10)
