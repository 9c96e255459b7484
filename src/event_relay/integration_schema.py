"""The JSON Schema of the integration events, made from their struct.

`python -m event_relay.integration_schema > docs/reference/integration-events/order-event.v1.json` writes the one
that is committed.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from event_relay.integration_events import DATA_SCHEMA, VERSION, OrderEventData

FILE = f"order-event.v{VERSION}.json"


def integration_schema() -> dict[str, Any]:
    """JSON Schema 2020-12, as an object for JSON."""
    (root,), schemas = msgspec.json.schema_components([OrderEventData], ref_template="#/$defs/{name}")
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
    title = f"An event of an order, version {VERSION}"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": DATA_SCHEMA, "title": title}
    return {**head, **root, "$defs": schemas}


def as_text(schema: dict[str, Any]) -> str:
    """As it is committed: indented, with a line break at its end."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_text(integration_schema()))
