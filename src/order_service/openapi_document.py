"""The API's OpenAPI document as committed: python -m order_service.openapi_document > docs/reference/openapi.json"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from order_service.bootstrap import build_api
from order_service.configuration.settings import load_settings

_NOWHERE = "postgresql://nobody@127.0.0.1:1/none"  # the document is made without asking anything
_NO_FILE = Path("/nonexistent/.env")


def as_text() -> str:
    """With the default settings, whatever this machine's are."""
    schema = build_api(load_settings({"DATABASE_URL": _NOWHERE}, _NO_FILE)).openapi_schema.to_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_text())
