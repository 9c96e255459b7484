"""Pages, and cursors: where a page ended, with a fingerprint of the filters that the pages share. Opaque to clients."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Annotated, TypeVar
from urllib.parse import urlencode

import msgspec

from orders.bounds import MAX_CURSOR
from orders.parameters import Parameters
from orders.unreadable import UNREADABLE

C = TypeVar("C", bound="_Cursor | _TextCursor")
P = TypeVar("P")

_FINGERPRINT = 12  # hexadecimal digits: against mistakes, not against malice


class _Cursor(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    place: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    filters: str


class _TextCursor(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    place: str
    filters: str


_decoder = msgspec.json.Decoder(_Cursor)
_text_decoder = msgspec.json.Decoder(_TextCursor)


def cursor_of(place: int | str, filters: object) -> str:
    """The cursor of the page after `place`, a number or a short text; `filters` is what must be the same for the next
    page."""
    encoded = urlsafe_b64encode(msgspec.json.encode([place, _fingerprint(filters)]))
    return encoded.rstrip(b"=").decode("ascii")


def place_of(cursor: str, filters: object) -> int:
    """The place, a number. Raises ValueError where the text is no cursor of ours, or one of other filters."""
    return _checked(cursor, filters, _decoder).place


def text_place_of(cursor: str, filters: object) -> str:
    """As `place_of`, of a list whose places are texts."""
    return _checked(cursor, filters, _text_decoder).place


def _checked(cursor: str, filters: object, decoder: msgspec.json.Decoder[C]) -> C:
    if len(cursor) > MAX_CURSOR or not cursor.isascii():
        raise ValueError("no cursor")
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        found = decoder.decode(urlsafe_b64decode(padded))
    except UNREADABLE:
        raise ValueError("no cursor") from None
    if found.filters != _fingerprint(filters):
        raise ValueError("a cursor of other filters")
    return found


def page_asked(
    given: Parameters, filters: object, place: Callable[[str, object], P], most: int
) -> tuple[int | None, P | None]:
    """`limit`, of `most` at the most, and `cursor`, the last parameters to take: `place` reads the list's places from a
    cursor. Raises InvalidParameters for all that is wrong."""
    limit = given.number("limit", 1, most)
    after = given.take(
        "cursor", lambda text: place(text, filters), "the cursor of a Link header, with the filters of that request"
    )
    given.check()
    return limit, after


def next_link(path: str, params: Iterable[tuple[str, str]], place: int | str, filters: object) -> str:
    """The Link header (RFC 8288) of the page after `place`, of a request with these parameters."""
    kept = [(name, value) for name, value in params if name != "cursor"]
    return f'<{path}?{urlencode([*kept, ("cursor", cursor_of(place, filters))])}>; rel="next"'


def _fingerprint(filters: object) -> str:
    return sha256(msgspec.json.encode(filters, order="deterministic")).hexdigest()[:_FINGERPRINT]
