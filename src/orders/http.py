"""What every HTTP border of ours says and takes alike, without a word of the framework."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol

from orders.request_errors import MalformedBody, WrongMediaType
from orders.strict_json import shortened

POSITION_HEADER = "Orders-Position"
ETAG_HEADER = "ETag"
IF_NONE_MATCH_HEADER = "If-None-Match"
LOCAL_ACCOUNT = "local"
BLANK = "about:blank"
"""The type of a problem that says no more than its status (RFC 9457, 4.2.1)."""
COST = "orders.cost"
"""Stands in the request's state where there is a rate: what is told how many of it the request is worth as soon as that
is known, and raises what the framework refuses it by where these are too many."""
FAULTS = "orders.faults"
"""Stands in the request's state where parts of the answer are 500 though it is not: so many orders of a batch."""
HEAD_ONLY = "orders.head_only"
"""Stands in the ASGI scope of a GET that answers a HEAD: for answers that would never end."""

_WORD = re.compile("(?<!^)(?=[A-Z])")
_JSON = ("", "application/json")
_CHARSETS = ("", "utf-8", "utf8")
_ENCODINGS = ("", "identity")
_TAG = re.compile(r'[ \t,]*(?:W/)?("[!#-~\x80-\xff]*")[ \t]*(?:,|$)')


class BodyRequest(Protocol):
    """A request of the framework, as far as its body goes."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def body(self) -> Awaitable[bytes]: ...


def local_account(request: object) -> str:
    """Without credentials everybody is the same account."""
    return LOCAL_ACCOUNT


def problem_type(kind: type[Exception]) -> str:
    """The type of a problem (RFC 9457, 3.1.1) that an error becomes: a name, and nothing to look up."""
    return f"urn:problem-type:{_WORD.sub('-', kind.__name__).lower()}"


def etag_of(version: int) -> str:
    """An order's entity tag (RFC 9110, 8.8.3). A strong one: an order of one version is shown in one way."""
    return f'"{version}"'


def holds(if_none_match: Sequence[str], etag: str) -> bool:
    """Whether a client that sends these If-None-Match headers has the representation already (RFC 9110, 13.1.2: several
    lines are one list, `*` is any, tags are compared weakly). What is no such list counts for nothing."""
    text = ", ".join(if_none_match).strip(" \t,")
    if text == "*":
        return True
    found, place = False, 0
    while (tag := _TAG.match(text, place)) is not None:
        found, place = found or tag[1] == etag, tag.end()
    return found and place == len(text)


async def json_body(request: BodyRequest, gone: type[Exception]) -> bytes:
    """A body that says nothing of itself is taken as JSON. `gone` is the framework's word for a client that is gone.

    Raises: WrongMediaType before the body is read, MalformedBody where the client is gone before its end.
    """
    given = request.headers.get("content-type", "")
    media_type, _, parameters = given.lower().partition(";")
    media_type = media_type.strip()
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' "')
    if (media_type not in _JSON and not media_type.endswith("+json")) or charset not in _CHARSETS:
        raise WrongMediaType(shortened(given))
    encoding = request.headers.get("content-encoding", "").lower()
    if encoding not in _ENCODINGS:
        raise WrongMediaType(f"encoded as {shortened(encoding)}")
    try:
        return await request.body()
    except gone:  # no fault of ours
        raise MalformedBody("The connection ended before the body did") from None
