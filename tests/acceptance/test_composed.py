"""Every service of compose.yaml that is ours or nginx's, by its own words and settings, as plain processes: with real
PostgreSQL and RabbitMQ the whole of it comes up, passes the tests that its profile `test` runs, and stops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from order_service.postgres import service_url
from tests.support.composed_processes import ComposedProcesses

PARTS = ("api-1", "api-2", "projector", "adapter", "relay", "exchange")
FILL_DELAY_S = "5-6"  # some tests wait for a fill, and some have to come before it, on a busy machine too


@pytest.fixture
def composed(tmp_path: Path, empty_database_url: str, amqp_url: str) -> Iterator[ComposedProcesses]:
    secrets = {
        "database_owner_url": empty_database_url,
        "database_url": service_url(empty_database_url),
        "amqp_url": amqp_url,
    }
    processes = ComposedProcesses(tmp_path, secrets, {"EXCHANGE_FILL_DELAY": FILL_DELAY_S})
    yield processes
    processes.close()


@pytest.mark.timeout(240)  # with two cores that are busy with other tests it took 61 s
def test_all_of_it_comes_up_passes_its_tests_and_stops(composed: ComposedProcesses) -> None:
    composed.start("prepare")
    composed.wait_until_healthy("prepare")
    composed.start(*PARTS)
    composed.wait_until_healthy("api-1", "api-2")
    nginx = composed.start_nginx()

    ended = composed.test()
    assert ended.returncode == 0, (ended.stdout[-2000:], {name: composed.tail(name) for name in PARTS})
    assert re.search(r"\d+ passed, \d+ deselected", ended.stdout)
    assert "</html>" in (composed.folder / "reports/report.html").read_text(encoding="utf-8")

    for url in composed.api_urls:
        figures = httpx.get(f"{url}/metrics", headers=bearer(composed.key("prometheus")), trust_env=False)
        assert figures.status_code == 200, figures.text
    assert httpx.get(f"{nginx.url}/orders", trust_env=False).status_code == 401

    assert {name for name in (*PARTS, "prepare") if composed.written(name)} == {"exchange"}, "it has the only volume"
    assert composed.stop_all() == {**dict.fromkeys(PARTS, 0), "prepare": -15}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
