"""The schema of the integration events that is committed is the one that the relay's messages follow."""

import json

from event_relay.integration_schema import FILE, as_text, integration_schema
from tests.tidy.tree import ROOT


def test_the_committed_schema_is_made_from_the_struct() -> None:
    committed = (ROOT / "docs/reference/integration-events" / FILE).read_text(encoding="utf-8")
    assert committed == as_text(integration_schema()), (
        f"python -m event_relay.integration_schema > docs/reference/integration-events/{FILE}"
    )


def test_every_reference_in_it_leads_somewhere() -> None:
    schema = integration_schema()
    references = {line.split('"')[3] for line in as_text(schema).splitlines() if '"$ref"' in line}
    assert references
    assert references <= {f"#/$defs/{name}" for name in schema["$defs"]}
    assert json.loads(as_text(schema)) == schema
