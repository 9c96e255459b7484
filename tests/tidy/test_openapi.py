"""The committed OpenAPI document is the one that the routes make."""

import json

from order_service.openapi_document import as_text
from tests.tidy.tree import ROOT

COMMITTED = ROOT / "docs/reference/openapi.json"
COMMAND = ".venv/bin/python -m order_service.openapi_document > docs/reference/openapi.json"


def test_the_committed_document_is_up_to_date() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == as_text(), f"the API has changed; run {COMMAND}"


def test_a_placed_order_leads_to_what_may_follow() -> None:
    paths = json.loads(COMMITTED.read_text(encoding="utf-8"))["paths"]
    known = {operation["operationId"] for operations in paths.values() for operation in operations.values()}
    for status in ("200", "201"):
        links = paths["/orders"]["post"]["responses"][status]["links"]
        assert {"show", "replace", "cancel", "history"} == set(links)
        assert {link["operationId"] for link in links.values()} <= known
