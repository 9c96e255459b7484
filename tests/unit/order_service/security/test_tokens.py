"""Which JSON Web Tokens open the door. They are made here by hand, as attackers make them."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from order_service.configuration.access_settings import TokenRules
from order_service.security.bounds import CLOCK_LEEWAY_S, MAX_CREDENTIAL
from order_service.security.tokens import Tokens

SECRET = "a secret of at least forty-eight characters, more or less"
RULES = TokenRules(key=SECRET, algorithm="HS256", issuer="https://login.example", audience="orders")


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {"iss": RULES.issuer, "aud": RULES.audience, "sub": "alice", "iat": now - 5, "exp": now + 60, **more}
    return {name: value for name, value in given.items() if value is not None}


def token(key: Any = SECRET, algorithm: str | None = "HS256", **more: Any) -> str:
    return jwt.encode(claims(**more), key, algorithm=algorithm)


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_token_says_whose_it_is_what_it_opens_and_when_it_ends() -> None:
    ends_at = int(time.time()) + 60
    found = Tokens(RULES).principal(token(scope="read trade openid", exp=ends_at))
    assert found is not None
    assert (found.account, found.scopes, found.key_id) == ("alice", {"read", "trade"}, None)
    assert found.expires_at_s == ends_at


@pytest.mark.parametrize(
    ("scope", "opened"),
    [(None, set()), ("", set()), ("Read", set()), ("admin", {"admin"}), (["read", 1], {"read"}), (7, set())],
)
def test_scopes_that_are_not_ours_mean_nothing(scope: object, opened: set[str]) -> None:
    found = Tokens(RULES).principal(token(scope=scope))
    assert found is not None
    assert found.scopes == opened


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp"])
def test_a_token_lacks_no_claim(claim: str) -> None:
    assert Tokens(RULES).principal(token(**{claim: None})) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://other.example"},
        {"aud": "another service"},
        {"exp": 1},
        {"exp": "soon"},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"iat": "4"},
        {"iat": "soon"},
        {"nbf": "4"},
        {"nbf": float("nan")},
        {"sub": ""},
        {"sub": "alice\n"},
        {"sub": "alice\x1fbob"},
        {"sub": "a" * 129},
        {"sub": "älice"},
    ],
)
def test_a_token_has_no_wrong_claim(wrong: dict[str, Any]) -> None:
    assert Tokens(RULES).principal(token(**wrong)) is None


def test_a_token_is_signed_with_the_key_and_the_algorithm_that_were_set() -> None:
    tokens = Tokens(RULES)
    assert tokens.principal(token()) is not None
    assert tokens.principal(token(key="another secret of at least thirty-two characters")) is None
    assert tokens.principal(token(algorithm="HS384")) is None
    header, _, signature = token().split(".")
    assert tokens.principal(f"{header}.{_part(claims(sub='bob'))}.{signature}") is None


@pytest.mark.parametrize("none", ["none", "None", "NONE", ""])
def test_a_token_without_a_signature_is_none(none: str) -> None:
    unsigned = f"{_part({'alg': none, 'typ': 'JWT'})}.{_part(claims())}."
    assert Tokens(RULES).principal(unsigned) is None


def test_the_public_key_is_no_secret_to_sign_with() -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    rules = TokenRules(key=public.decode(), algorithm="EdDSA", issuer=RULES.issuer, audience=RULES.audience)
    assert Tokens(rules).principal(token(key=private, algorithm="EdDSA")) is not None
    body = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims())}"
    forged = base64.urlsafe_b64encode(hmac.new(public, body.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    assert Tokens(rules).principal(f"{body}.{forged}") is None


def test_another_claim_may_name_the_account() -> None:
    rules = TokenRules(
        key=SECRET, algorithm="HS256", issuer=RULES.issuer, audience=RULES.audience, account_claim="desk"
    )
    found = Tokens(rules).principal(token(desk="fx-1"))
    assert found is not None
    assert found.account == "fx-1"
    assert Tokens(rules).principal(token()) is None
    assert Tokens(rules).principal(token(desk=["fx-1"])) is None


def test_a_token_that_was_seen_before_still_ends() -> None:
    now = time.time()
    tokens = Tokens(RULES, clock=lambda: now)
    text = token(exp=int(now) + 60)
    assert tokens.principal(text) is not None
    now += 61
    assert tokens.principal(text) is None


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_the_clock_of_who_issues_tokens_may_be_ahead_by_seconds(claim: str) -> None:
    now = time.time()
    seconds: dict[str, Any] = {claim: now + CLOCK_LEEWAY_S / 2}
    minutes: dict[str, Any] = {claim: now + CLOCK_LEEWAY_S + 60}
    assert Tokens(RULES).principal(token(**seconds)) is not None
    assert Tokens(RULES).principal(token(**minutes)) is None


def test_a_token_ends_when_it_says() -> None:
    assert Tokens(RULES).principal(token(exp=int(time.time()) - 1)) is None


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "x" * (MAX_CREDENTIAL + 1)])
def test_what_is_no_token_opens_nothing(text: str) -> None:
    assert Tokens(RULES).principal(text) is None
