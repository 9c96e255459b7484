"""The API keeps to its OpenAPI document whatever it is asked; `make fuzz-api` asks for longer."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.api_fuzz import fuzz_chains, fuzz_operations
from tests.support.running_service import ServiceAtUrl, service_to_ask


@pytest.fixture(scope="module")
def service(pytestconfig: pytest.Config) -> Iterator[ServiceAtUrl]:
    with service_to_ask(pytestconfig) as service:
        yield service


def test_every_operation_answers_as_declared_to_what_is_right_and_wrong(service: ServiceAtUrl, tmp_path: Path) -> None:
    run = fuzz_operations(service, examples=1, phases="examples,coverage", folder=tmp_path)
    shown = run.stdout + run.stderr
    assert run.returncode == 0, shown
    tested, of_all = re.search(r"Operations: +(\d+) selected / (\d+) total", shown).groups()  # type: ignore[union-attr]
    assert int(tested) == int(of_all) - 1, "all but /events"


def test_chains_of_requests_about_an_order_are_answered_as_declared(service: ServiceAtUrl) -> None:
    asked = fuzz_chains(service, examples=15)
    reached = {(method, path) for method, path, status in asked if status < 300}
    assert {("POST", "/orders"), ("GET", "/orders/{order_id}"), ("DELETE", "/orders/{order_id}")} <= reached, asked
