"""API keys as texts: how they are made, told apart and compared. What is stored of one is a digest."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

from msgspec import Struct

from order_service.security.principal import Principal

PATTERN = r"orders_([a-z2-7]{12})_([A-Za-z0-9_-]{43})"
"""Recognizable in logs and repositories: the id, which is no secret, then 256 random bits in base64url."""

_KEY = re.compile(PATTERN)
_ID_LENGTH, _ALPHABET = 12, "abcdefghijklmnopqrstuvwxyz234567"
_SECRET_BYTES = 32


class NewKey(Struct, frozen=True):
    """`text` is shown to its owner once, and kept nowhere."""

    key_id: str
    text: str
    digest: bytes


class StoredKey(Struct, frozen=True):
    """A key that is neither revoked nor expired."""

    principal: Principal
    digest: bytes


def new_key() -> NewKey:
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
    secret = base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
    text = f"orders_{key_id}_{secret}"
    return NewKey(key_id, text, digest_of(text))


def key_id_of(text: str) -> str | None:
    """None where it does not look like a key of ours."""
    found = _KEY.fullmatch(text)
    return found[1] if found else None


def digest_of(text: str) -> bytes:
    """SHA-256, once: what is hashed has 256 random bits, so that nobody can guess it, and a slow hash would only slow
    each request. (Slow hashes are for what people make up.)"""
    return hashlib.sha256(text.encode()).digest()


def opens(text: str, stored: StoredKey) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(digest_of(text), stored.digest)
