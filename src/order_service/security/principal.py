"""Who makes a request: found once, at the door, and carried in the ASGI scope's `user`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from order_service.security.bounds import MAX_ACCOUNT
from orders.http import LOCAL_ACCOUNT

_ACCOUNT = re.compile(rf"[!-~]{{1,{MAX_ACCOUNT}}}")


class AccessScope(StrEnum):
    """What a credential opens. None implies another, so that a key for the monitoring cannot trade."""

    READ = "read"
    TRADE = "trade"
    ADMIN = "admin"


PUBLIC = "public"
"""The scope of a route that needs no credential."""


class Principal(Struct, frozen=True):
    """`key_id` names the API key, and is None in local mode and behind a token; `expires_at_s`, in seconds since 1970,
    is when the credential ends by itself."""

    account: str
    scopes: frozenset[str]
    key_id: str | None = None
    expires_at_s: float | None = None


LOCAL = Principal(account=LOCAL_ACCOUNT, scopes=frozenset(AccessScope))
"""Who everybody is without credentials, on an address that only this machine reaches."""


def is_account(name: str) -> bool:
    """Whether an account may have this name: no space or control character, so that it stands in any header, key or log
    line as it is."""
    return _ACCOUNT.fullmatch(name) is not None


def principal_of(scope: Mapping[str, Any]) -> Principal | None:
    """Who makes the request of this ASGI scope; None on a public route without credentials."""
    found = scope.get("user")
    return found if isinstance(found, Principal) else None


def account_of(connection: Any) -> str:
    """For the APIs: the account of who makes this request, or opened this WebSocket."""
    principal: Principal = connection.scope["user"]
    return principal.account
