"""How the service starts, stops, and says why it does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from order_service.postgres import running_url
from tests.support.postgres import value
from tests.support.processes import has_ended
from tests.support.running_service import ROOT, RunningService, free_port, running_service
from tests.support.waiting import wait_until

PARTS = ("api", "projector", "adapter", "exchange")
UNREACHABLE = "postgresql://nobody:secret@127.0.0.1:1/orders"


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with running_service() as running:
        yield running


def test_it_says_where_it_listens_and_what_to_try(service: RunningService) -> None:
    said = wait_until(lambda: service.tail() if "Ctrl-C" in service.tail() else "", what="the greeting")
    for words in (f"listens on {service.url}", "curl", "watch", "/docs", "Ctrl-C"):
        assert words in said


def test_every_part_works_as_the_database_role_that_can_change_no_event(service: RunningService) -> None:
    order = service.place()
    assert service.wait_for(order["id"], status="Executed")
    owner_url = running_url(service.folder / "data")
    assert owner_url is not None
    parts = "select string_agg(distinct split_part(application_name, ' ', 2), ' ') from pg_stat_activity"
    at_work = str(value(owner_url, f"{parts} where usename = 'orders_service'")).split()
    assert set(at_work) >= {"adapter", "api", "projector"}
    assert {service.part(name).environ()["DATABASE_OWNER_URL"] for name in PARTS} == {""}, "whatever .env says"
    others = "select count(*) from pg_stat_activity where usename <> 'orders_service' and pid <> pg_backend_pid()"
    assert value(owner_url, f"{others} and backend_type = 'client backend'") == 0


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_dies_is_started_again(service: RunningService, name: str) -> None:
    process = service.part(name)
    dying = [process, *process.children(recursive=True)]  # the API's server answers on until it sees its parent's death
    process.kill()
    wait_until(lambda: all(has_ended(one.pid) for one in dying), what=f"the end of {name}")
    wait_until(lambda: _pid(service, name) not in (None, process.pid), what=f"another {name}")
    service.wait_ready()
    order = service.place()
    assert service.wait_for(order["id"], status="Executed")


def test_a_database_that_dies_is_started_again_and_keeps_everything(service: RunningService) -> None:
    order = service.place()
    (postmaster,) = [one for one in service.processes()[0].children() if one.name() == "postgres"]
    dying = [postmaster, *postmaster.children(recursive=True)]  # a session answers on until it sees its parent's death
    postmaster.kill()
    wait_until(lambda: all(has_ended(one.pid) for one in dying), within_s=60, what="the database to die")
    # Readiness is asked for second: for a moment it may be the one of before the kill.
    status = lambda: service.http.get(f"/orders/{order['id']}").status_code  # noqa: E731
    wait_until(lambda: status() == 200, within_s=60, what="the database to be back")
    service.wait_ready()
    assert service.wait_for(order["id"], status="Executed")


def test_kill_9_of_the_supervisor_leaves_no_process_behind(service: RunningService) -> None:
    order = service.place()
    everyone = service.processes()
    everyone[0].kill()
    assert service.process is not None
    service.process.wait()
    service.start(wait=False)  # at once: it waits by itself for the port, and for the dying database
    wait_until(lambda: all(has_ended(one.pid) for one in everyone), within_s=60, what="every process to end")
    service.wait_ready()
    assert service.wait_for(order["id"], status="Executed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_every_process_within_the_bound(service: RunningService, number: signal.Signals) -> None:
    everyone = service.processes()
    with service.socket():
        assert service.stop(number) == 0
    assert all(has_ended(one.pid) for one in everyone)
    service.start()


def test_a_second_start_names_the_process_that_has_the_port(service: RunningService) -> None:
    ended = _orders("up", BASE_URL=service.url, ORDERS_DATA_DIR=str(service.folder / "data"))
    port = service.url.rpartition(":")[2]
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: port {port} is in use (pid ")
    assert ended.stderr.count("\n") == 1


def test_a_second_start_on_another_port_names_the_folder(service: RunningService) -> None:
    ended = _orders("up", BASE_URL=f"http://127.0.0.1:{free_port()}", ORDERS_DATA_DIR=str(service.folder / "data"))
    assert ended.returncode != 0
    assert str(service.folder / "data") in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("settings", "named", "code"),
    [
        ({"ENVIRONMENT": "prod"}, "ENVIRONMENT", 2),
        ({"EXCHANGE_FILL_DELAY": "soon"}, "EXCHANGE_FILL_DELAY", 2),
        ({"PARK_AFTER_ATTEMPTS": "0"}, "PARK_AFTER_ATTEMPTS", 2),
        ({"LISTEN": "0.0.0.0:8000"}, "LISTEN", 2),
        ({"EXCHANGE": "no.such.module:place_order"}, "EXCHANGE", 2),
        ({"EXCHANGE": "examples.stock_exchange:nothing"}, "EXCHANGE", 2),
        ({"INSTRUMENTS": "/no/such/file.toml"}, "INSTRUMENTS", 2),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL", 2),
        ({"DATABASE_URL": UNREACHABLE}, "database", 5),
    ],
)
def test_what_is_wrong_ends_the_start_with_one_line(settings: dict[str, str], named: str, code: int) -> None:
    ended = _orders(
        "up", **{"BASE_URL": f"http://127.0.0.1:{free_port()}", "ORDERS_DATA_DIR": "/tmp/orders-never-made", **settings}
    )
    assert ended.returncode == code
    assert ended.stderr.startswith("error: ")
    assert named in ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "secret" not in ended.stderr


def test_in_production_every_line_is_json() -> None:
    with running_service(ENVIRONMENT="production") as service:
        wait_until(lambda: "listens on" in service.tail(), what="the line that says so")
        assert service.stop() == 0
        events = [json.loads(line)["event"] for line in service.log.read_text().splitlines()]
    assert events[-1] == "stopped; everything that was accepted is kept"


@pytest.mark.parametrize("part", ["api", "projector", "adapter"])
def test_a_part_alone_without_a_database_says_so(part: str, tmp_path: Path) -> None:
    ended = _orders(part, BASE_URL=f"http://127.0.0.1:{free_port()}", ORDERS_DATA_DIR=str(tmp_path))
    assert ended.returncode == 5
    assert "no database" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("part", ["api", "projector", "adapter"])
def test_a_part_whose_database_does_not_answer_says_so(part: str, tmp_path: Path) -> None:
    settings = {
        "BASE_URL": f"http://127.0.0.1:{free_port()}",
        "ORDERS_DATA_DIR": str(tmp_path),
        "DATABASE_URL": f"postgresql://user:secret@127.0.0.1:{free_port()}/orders",
    }
    command = [sys.executable, "-m", "order_service", part]
    ended = subprocess.run(
        command, env={**os.environ, **settings}, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout) == (5, "")
    assert ended.stderr.startswith("error: DATABASE_URL: the database cannot be reached")
    assert ended.stderr.count("\n") == 1
    assert "secret" not in ended.stderr


def _orders(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "order_service", *arguments]
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _pid(service: RunningService, name: str) -> int | None:
    try:
        return service.part(name).pid
    except (LookupError, psutil.NoSuchProcess):
        return None
