"""The API keeps to its OpenAPI document whatever it is asked; `make fuzz-api` asks for longer."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.api_fuzz import ENDLESS, NOT_AT_OTHERS, fuzz_chains, fuzz_operations
from tests.support.running_service import ServiceAtUrl, service_to_ask

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def service(pytestconfig: pytest.Config) -> Iterator[ServiceAtUrl]:
    with service_to_ask(pytestconfig) as service:
        yield service


def operations(service: ServiceAtUrl) -> list[str]:
    """The path of each."""
    paths: dict[str, dict[str, object]] = service.http.get("/openapi.json").json()["paths"]
    return [path for path, item in paths.items() for method in item if method in METHODS]


def test_every_operation_answers_as_declared_to_what_is_right_and_wrong(
    service: ServiceAtUrl, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    left_out = NOT_AT_OTHERS if pytestconfig.getoption("--at-base-url") else ENDLESS
    run = fuzz_operations(service, examples=1, phases="examples,coverage", folder=tmp_path, left_out=left_out)
    shown = run.stdout + run.stderr
    assert run.returncode == 0, shown
    (tested,) = re.findall(r"Operations: +(\d+) selected / ", shown)
    assert int(tested) == len([path for path in operations(service) if not re.search(left_out, path)])


# Others' requests between its own would make the same chain go on in another way.
@pytest.mark.own_service
def test_chains_of_requests_about_an_order_are_answered_as_declared(service: ServiceAtUrl) -> None:
    wanted = {("POST", "/orders"), ("GET", "/orders/{order_id}"), ("DELETE", "/orders/{order_id}")}
    for examples in (15, 60, 240):  # what is drawn is the same each time, until a word of the document changes
        asked = fuzz_chains(service, examples=examples)
        if wanted <= {(method, path) for method, path, status in asked if status < 300}:
            return
    raise AssertionError(f"the chains never got to all of {wanted}: {asked}")
