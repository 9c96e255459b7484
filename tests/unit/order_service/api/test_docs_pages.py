"""The documents: the page of the API, its files, and the schemas."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from order_service.api.docs_pages import ASSETS_PATH
from orders.eventstore.memory import MemoryEventStore
from tests.support.command_service import CommandService, command_service

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
async def service() -> AsyncIterator[CommandService]:
    store = MemoryEventStore()
    async with command_service(store, store.hints) as running:
        yield running


async def test_the_docs_load_nothing_from_elsewhere(service: CommandService) -> None:
    page = await service.http.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text.split("<body>")[0])
    assert len(loaded) >= 4
    for path in loaded:
        assert path.startswith(ASSETS_PATH)
        assert (await service.http.get(path)).status_code == 200
    assert "://" not in page.text.split("<body>")[0]


@pytest.mark.parametrize(
    "name", ["x" * 300, "%00", "a%00b", "%2E%2E", "..%2F__init__.py", "%2Fetc%2Fpasswd", "a%5Cb", ""]
)
async def test_no_name_of_a_file_that_is_not_shipped_is_a_fault(
    service: CommandService, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    answer = await service.http.get(f"{ASSETS_PATH}/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert not caplog.records


async def test_every_shipped_file_is_served_whole_with_its_media_type(service: CommandService) -> None:
    expected = {".js": "text/javascript", ".css": "text/css", ".png": "image/png", ".json": "application/json"}
    for one in (files("order_service") / "docs_assets").iterdir():
        answer = await service.http.get(f"{ASSETS_PATH}/{one.name}")
        assert answer.content == one.read_bytes()
        media_type = answer.headers["content-type"].partition(";")[0]
        assert media_type == expected.get(Path(one.name).suffix, "text/plain")


async def test_who_looks_at_the_root_finds_the_docs(service: CommandService) -> None:
    answer = await service.http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/docs")


async def test_the_shipped_files_are_those_of_the_manifest() -> None:
    folder = files("order_service") / "docs_assets"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {one.name for one in folder.iterdir()} == {"manifest.json", *manifest["files"]}
    assert manifest["licence"]
    assert manifest["version"]
    for name, integrity in manifest["files"].items():
        digest = hashlib.sha384((folder / name).read_bytes()).digest()
        assert integrity == f"sha384-{base64.b64encode(digest).decode()}", name


async def test_the_document_of_the_feed_is_the_committed_one(service: CommandService) -> None:
    answer = await service.http.get("/asyncapi.json")
    assert answer.headers["content-type"] == "application/vnd.aai.asyncapi+json;version=3.0.0"
    assert answer.text == (ROOT / "docs/reference/asyncapi.json").read_text(encoding="utf-8")


async def test_the_schema_declares_every_route_with_its_answers(service: CommandService) -> None:
    schema = (await service.http.get("/openapi.json")).json()
    post, put = schema["paths"]["/orders"]["post"], schema["paths"]["/orders/{order_id}"]["put"]
    assert {"200", "201", "400", "408", "409", "413", "414", "415", "422", "429", "500", "503"} <= set(
        post["responses"]
    )
    assert {"200", "202", "400", "404", "409", "413", "415", "422", "500", "503"} <= set(put["responses"])
    assert set(post["responses"]["500"]["content"]) == {"application/json"}, "the exact answer of an order not placed"
    assert set(put["responses"]["500"]["content"]) == {"application/problem+json"}
    body = post["requestBody"]["content"]["application/json"]["schema"]
    assert (body["required"], body["additionalProperties"]) == (["quantity"], False)
    assert body["properties"]["limit_price"]["anyOf"][0]["type"] == ["number", "string"]
    assert body["properties"]["type"]["anyOf"][0]["enum"] == ["limit", "market"]
    assert {"200", "413", "414", "421", "500", "503"} == set(schema["paths"]["/health/ready"]["get"]["responses"])
    assert "/metrics" not in schema["paths"]
    assert not any(path.startswith("/docs") for path in schema["paths"])
    _check_references(schema, schema)


def _check_references(node: Any, schema: dict[str, Any]) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            found: Any = schema
            for part in node["$ref"].removeprefix("#/").split("/"):
                assert part in found, node["$ref"]
                found = found[part]
        for inner in node.values():
            _check_references(inner, schema)
    elif isinstance(node, list):
        for inner in node:
            _check_references(inner, schema)
