"""The Postman collection, run by newman against the whole service: every request of it, with its own tests."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.access_service import made_key
from tests.support.api_process import api_process
from tests.support.running_service import ROOT, RunningService, running_service

FOLDER = ROOT / "docs/postman"
COLLECTION = FOLDER / "order-service.postman_collection.json"
ENVIRONMENT = FOLDER / "order-service.postman_environment.json"
MAY_BE = {202}  # where the exchange takes its time
NEWMAN = (ROOT / "requirements/node/install", ROOT / "requirements/node/node_modules/.bin/newman", "run")


@pytest.fixture(scope="module")
def service() -> Any:
    with running_service() as service:
        yield service


def newman(url: str, report: Path, collection: Path = COLLECTION, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code and newman's report."""
    where = ["--environment", str(ENVIRONMENT), "--env-var", f"base_url={url}"]
    into = ["--reporters", "cli,json", "--reporter-json-export", str(report), "--color", "off"]
    command = [*map(str, NEWMAN), str(collection), *where, *into, *options]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90)
    assert report.exists(), run.stdout + run.stderr
    return run.returncode, json.loads(report.read_text())["run"]


def failures(run: dict[str, Any]) -> list[str]:
    return [f"{one['source'].get('name')}: {one['error']['message']}" for one in run["failures"]]


def statuses(run: dict[str, Any]) -> list[int]:
    return [one["response"]["code"] for one in run["executions"]]


def test_every_request_of_the_collection_is_answered_as_it_says(service: RunningService, tmp_path: Path) -> None:
    code, run = newman(service.url, tmp_path / "report.json")
    assert (code, failures(run)) == (0, [])
    assert run["stats"]["assertions"]["total"] >= 130
    assert set(statuses(run)) - MAY_BE == {200, 201, 400, 403, 404, 405, 409, 413, 414, 415, 421, 422}


def test_a_service_that_asks_for_keys_is_shown_as_one(tmp_path: Path, database_url: str) -> None:
    key = made_key(database_url, "desk", "read", "trade").text
    with api_process(tmp_path, database_url, AUTHENTICATION="required") as api:
        code, run = newman(
            api.url, tmp_path / "report.json", COLLECTION, "--folder", "With keys", f"--env-var=api_key={key}"
        )
    assert (code, failures(run)) == (0, [])
    assert statuses(run) == [401, 401, 200, 403]


def test_an_answer_that_is_not_as_the_collection_says_is_found(service: RunningService, tmp_path: Path) -> None:
    spoilt = tmp_path / "collection.json"
    spoilt.write_text(COLLECTION.read_text().replace("to.have.status(409)", "to.have.status(408)"))
    code, run = newman(service.url, tmp_path / "report.json", spoilt, "--folder", "Repeat safely")
    assert code == 1
    assert [one["source"]["name"] for one in run["failures"]] == ["The same key with other content: 409"]


def test_every_request_has_its_tests() -> None:
    folders = json.loads(COLLECTION.read_text())["item"]
    untested = [
        request["name"]
        for folder in folders
        for request in folder["item"]
        if not any("pm.test(" in line for event in request["event"] for line in event["script"]["exec"])
    ]
    assert untested == []
