"""The API keeps to its OpenAPI document whatever it is asked; `make fuzz-api` asks for longer."""

import re
from collections.abc import Iterator

import pytest

from tests.campaigns.api_fuzz import fuzz_chains, fuzz_operations
from tests.support.running_service import RunningService, running_service


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with running_service() as service:
        yield service


def test_every_operation_answers_as_declared_to_what_is_right_and_wrong(service: RunningService) -> None:
    run = fuzz_operations(service.url, examples=1, phases="examples,coverage", folder=service.folder)
    shown = run.stdout + run.stderr
    assert run.returncode == 0, shown
    tested, of_all = re.search(r"Operations: +(\d+) selected / (\d+) total", shown).groups()  # type: ignore[union-attr]
    assert int(tested) == int(of_all) - 1, "all but /events"


def test_chains_of_requests_about_an_order_are_answered_as_declared(service: RunningService) -> None:
    asked = fuzz_chains(service.url, examples=15)
    reached = {(method, path) for method, path, status in asked if status < 300}
    assert {("POST", "/orders"), ("GET", "/orders/{order_id}"), ("DELETE", "/orders/{order_id}")} <= reached, asked
