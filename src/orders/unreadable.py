"""What reading bytes as JSON with msgspec may raise, where the bytes may be anything."""

from __future__ import annotations

from typing import Final

import msgspec

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""msgspec looks at a text's bytes only once it needs the text, so that bytes which are no UTF-8 may end as Python's own
error, and it has no bound of its own for nesting."""
