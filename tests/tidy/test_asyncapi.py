"""The committed AsyncAPI document is the one that the structs of the feed's messages make."""

import json
from importlib.metadata import version

from projections.api.feed_document import as_text, feed_document
from projections.feed_messages import MESSAGES, Closed
from tests.tidy.tree import ROOT

COMMITTED = ROOT / "docs/reference/asyncapi.json"
COMMAND = ".venv/bin/python -m projections.api.feed_document > docs/reference/asyncapi.json"


def test_the_committed_document_is_up_to_date() -> None:
    made = as_text(feed_document(version("order-service")))
    assert COMMITTED.read_text(encoding="utf-8") == made, f"the feed has changed; run {COMMAND}"


def test_every_message_is_in_the_document_and_the_closing_one_is_of_events_only() -> None:
    document = json.loads(COMMITTED.read_text(encoding="utf-8"))
    payloads = {name: one["payload"].get("$ref", "") for name, one in document["components"]["messages"].items()}
    assert {kind.__name__ for kind in MESSAGES} | {""} == {ref.rpartition("/")[2] for ref in payloads.values()}
    over_sockets, events = (document["channels"][name]["messages"] for name in ("feed", "events"))
    assert set(over_sockets) - set(events) == {"batch"}
    (only,) = set(events) - set(over_sockets)
    assert payloads[only] == f"#/components/schemas/{Closed.__name__}"
