"""What is hidden in a line: all that looks like a secret, and known ones whatever they look like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from order_service.log_secrets import Secrets, secrets_of
from order_service.security.api_keys import new_key
from order_service.settings import load_settings

SECRET = "geheim-4711-and-so-on"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl_of-it"
KEY = new_key()

SHAPES = [
    f"postgresql://orders:{SECRET}@127.0.0.1:1/orders",
    f"amqps://guest:{SECRET}@broker/",
    f"https://user:{SECRET}@host/x",
    f"https://user:pa@ss:{SECRET}@host/x",
    f"host=db password={SECRET} user=x",
    f"host=db password='{SECRET} and more {SECRET}' user=x",
    f"?password={SECRET}&a=b",
    f"GET /ws?token={SECRET}&after=1",
    f"?access_token={SECRET}",
    f"Authorization: Bearer {SECRET}",
    f"authorization: basic {SECRET}=",
    f"X-API-Key: {SECRET}",
    f"{{'api_key': '{SECRET}'}}",
    f'{{"secret": "{SECRET}"}}',
    f'{{\\"token\\": \\"{SECRET}\\"}}',
]


@pytest.mark.parametrize("text", SHAPES)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    shown = Secrets().hidden_in(text)
    assert SECRET not in shown
    assert "***" in shown


@pytest.mark.parametrize("text", SHAPES)
def test_a_json_line_stays_one(text: str) -> None:
    line = json.dumps({"event": text, "nested": {"text": [text]}, "after": "it"})
    shown = Secrets().hidden_in(line)
    assert SECRET not in shown
    assert json.loads(shown)["after"] == "it"


def test_a_key_is_told_by_its_id_and_a_token_not_at_all() -> None:
    shown = Secrets().hidden_in(f"wrong credential {KEY.text}, or {JWT}!")
    assert shown == f"wrong credential orders_{KEY.key_id}_***, or ***!"


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8000/orders, a:b@c",
        "password authentication failed for user",
        "orders_commit_seconds of order 5f0c9a51-3c1e-5d0a-9d55-6a2f4b7f8e01",
        "position 12 of 34; the bearer of bad news",
        "RateLimit: 'orders';r=0",
    ],
)
def test_the_rest_stays_readable(text: str) -> None:
    assert Secrets().hidden_in(text) == text


def test_the_settings_own_secrets_are_hidden_wherever_they_stand(tmp_path: Path) -> None:
    secrets = {
        "DATABASE_URL": "postgresql://orders:plain%2Dpass@db/orders",
        "ALERT_WEBHOOK_URL": "https://hooks.example.com/services/T000/B000/XXXX?key=4711-0815",
        "JWT_KEY": 'a "quoted" key of the tokens, long enough',
        "JWT_ISSUER": "i",
        "JWT_AUDIENCE": "a",
        "ORDERS_API_KEY": KEY.text,
    }
    hide = secrets_of(load_settings(secrets, tmp_path / "no.env")).hidden_in
    line = json.dumps({"a": f"plain-pass, /services/T000/B000/XXXX, {secrets['JWT_KEY']}", "b": "key=4711-0815"})
    shown = hide(line)
    for secret in ("plain-pass", "B000", "quoted", "4711"):
        assert secret not in shown
    assert json.loads(shown)["b"] == "***"
