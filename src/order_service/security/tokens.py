"""JSON Web Tokens (RFC 7519) as credentials, by Litestar's own support for them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from litestar.exceptions import NotAuthorizedException
from litestar.security.jwt import Token

from order_service.configuration.access_settings import ACCOUNT_CLAIM, TokenRules
from order_service.security.bounds import CLOCK_LEEWAY_S, MAX_CREDENTIAL, MAX_KNOWN_TOKENS
from order_service.security.principal import AccessScope, Principal, is_account

_REQUIRED = ("exp", "iat", "iss", "aud", "sub")
_SCOPES = frozenset(AccessScope)


class _Token(Token):
    """Its `iat` and `nbf` may be CLOCK_LEEWAY_S ahead. `exp` has no leeway: Token and Tokens look at it themselves."""

    @classmethod
    def decode_payload(cls, *given: Any, **named: Any) -> dict[str, Any]:
        named["options"] = {**named.get("options", {}), "verify_iat": False, "verify_nbf": False}
        payload: dict[str, Any] = super().decode_payload(*given, **named)
        now = time.time()
        for claim in ("iat", "nbf"):
            at_s = payload.get(claim, now)
            if not isinstance(at_s, int | float) or not at_s <= now + CLOCK_LEEWAY_S:
                raise NotAuthorizedException(f"{claim} is no time, or in the future")
        payload["iat"] = min(payload["iat"], now)  # Token itself takes none of the future
        return payload


class Tokens:
    """`clock` gives seconds since 1970."""

    def __init__(self, rules: TokenRules, clock: Callable[[], float] = time.time) -> None:
        self._rules = rules
        self._clock = clock
        self._known: dict[bytes, Principal] = {}

    def principal(self, text: str) -> Principal | None:
        """Whose token it is; None where it does not hold. A signature is checked once: that takes 30 to 200 µs."""
        if len(text) > MAX_CREDENTIAL:
            return None
        digest = hashlib.sha256(text.encode()).digest()
        found = self._known.get(digest)
        if found is None:
            found = self._verified(text)
            if found is None:
                return None
            self._known[digest] = found
            if len(self._known) > MAX_KNOWN_TOKENS:
                del self._known[next(iter(self._known))]
        if found.expires_at_s is None or found.expires_at_s <= self._clock():
            self._known.pop(digest, None)
            return None
        return found

    def _verified(self, text: str) -> Principal | None:
        rules = self._rules
        try:
            token = _Token.decode(
                text,
                secret=rules.key,
                algorithm=rules.algorithm,
                audience=rules.audience,
                issuer=rules.issuer,
                require_claims=_REQUIRED,
            )
        except NotAuthorizedException:
            return None
        account = token.sub if rules.account_claim == ACCOUNT_CLAIM else token.extras.get(rules.account_claim)
        if not isinstance(account, str) or not is_account(account):
            return None
        scopes = _scopes(token.extras.get("scope"))
        return Principal(account=account, scopes=scopes, expires_at_s=token.exp.timestamp())


def _scopes(claim: object) -> frozenset[str]:
    """`scope` as RFC 8693, 4.2 has it, a text with spaces; some issuers give a list. What is not ours means nothing."""
    named = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return _SCOPES & {one for one in named if isinstance(one, str)}
