"""What every HTTP border of ours says and takes alike, without a word of the framework."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from orders.request_errors import MalformedBody, WrongMediaType
from orders.strict_json import shortened

POSITION_HEADER = "Orders-Position"
LOCAL_ACCOUNT = "local"

_JSON = ("", "application/json")
_CHARSETS = ("", "utf-8", "utf8")
_ENCODINGS = ("", "identity")


class BodyRequest(Protocol):
    """A request of the framework, as far as its body goes."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    def body(self) -> Awaitable[bytes]: ...


def local_account(request: object) -> str:
    """Without credentials everybody is the same account."""
    return LOCAL_ACCOUNT


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
