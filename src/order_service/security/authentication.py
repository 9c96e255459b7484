"""From what a request shows to who makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from order_service.security.api_keys import key_id_of
from order_service.security.errors import NotAuthenticated
from order_service.security.known_keys import KnownKeys
from order_service.security.principal import Principal

if TYPE_CHECKING:
    from order_service.security.tokens import Tokens

SUBPROTOCOL = "orders"
"""What the service answers to a WebSocket that offers subprotocols (RFC 6455, 1.9)."""

_OFFERED = f"{SUBPROTOCOL}.bearer."
_HOW = "This needs an API key or a token, shown as `Authorization: Bearer <key>`"


class Authentication:
    """`tokens` is None where no key for them is set."""

    def __init__(self, keys: KnownKeys, tokens: Tokens | None) -> None:
        self._keys = keys
        self._tokens = tokens

    async def principal(
        self, headers: Mapping[bytes, bytes], subprotocols: Sequence[str] = (), *, last_known: bool = False
    ) -> Principal:
        """`last_known`: see KnownKeys.principal. Raises: NotAuthenticated, StoreUnavailable, StoreOverloaded."""
        text = shown_credential(headers, subprotocols)
        if key_id_of(text) is not None:
            found = await self._keys.principal(text, last_known=last_known)
        else:
            found = self._tokens.principal(text) if self._tokens is not None else None
        if found is None:
            raise NotAuthenticated("This key or token is unknown, revoked, expired or malformed", shown=True)
        return found


def shown_credential(headers: Mapping[bytes, bytes], subprotocols: Sequence[str] = ()) -> str:
    """The text of a key or token. A browser's WebSocket can set no header: it offers the subprotocols `orders` and
    `orders.bearer.<key or token>`. Raises NotAuthenticated."""
    shown = {text for text in (_bearer(headers), _api_key(headers), *_offered(subprotocols)) if text}
    if not shown:
        raise NotAuthenticated(_HOW, shown=False)
    if len(shown) > 1:
        raise NotAuthenticated("Two different credentials are shown", shown=True)
    return shown.pop()


def _bearer(headers: Mapping[bytes, bytes]) -> str:
    """Raises NotAuthenticated for another scheme than Bearer (RFC 9110, 11.1: its name's case does not count)."""
    given = headers.get(b"authorization")
    if given is None:
        return ""
    scheme, _, text = given.decode("latin-1").strip().partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise NotAuthenticated(_HOW, shown=True)
    return text.strip()


def _api_key(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"x-api-key", b"").decode("latin-1").strip()


def _offered(subprotocols: Sequence[str]) -> list[str]:
    return [one.removeprefix(_OFFERED) for one in subprotocols if one.startswith(_OFFERED)]
