"""The segments of a request's path, told apart by the slashes that the client did not encode (RFC 3986, 2.2 and 3.3).

Routes are found by the decoded path, in which an encoded slash would part a segment. So the path that routes see keeps
it encoded, and the percent sign too: what a segment says can then be told from it again, whatever it is.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_KEPT = re.compile("(%2F|%25)", re.IGNORECASE)


def routed_path(raw_path: bytes) -> str:
    """The path, decoded but for slashes and percent signs. Bytes that should have been encoded are taken for
    UTF-8; what is none becomes U+FFFD."""
    parts = _KEPT.split(raw_path.decode(errors="replace"))
    return "".join(part.upper() if place % 2 else unquote(part) for place, part in enumerate(parts))


def segment_text(segment: str) -> str:
    """What a segment of a routed path says."""
    return segment.replace("%2F", "/").replace("%25", "%")
