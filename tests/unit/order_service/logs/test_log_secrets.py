"""What is hidden in a line: all that looks like a secret, and known ones whatever they look like."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from order_service.configuration.settings import load_settings
from order_service.logs.log_secrets import Secrets, secrets_of
from order_service.security.api_keys import new_key

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
    f"client_secret={SECRET}",
    f"refresh_token={SECRET}&a=b",
    f"id_token: {SECRET}",
    f"clientSecret={SECRET};a=b",
    f"db_password={SECRET}",
    f"DATABASE_PASSWORD={SECRET}",
    f"PGPASSWORD={SECRET}",
    f"sslpassword={SECRET}",
    f"password=with,or)without;{SECRET}",
    f"passwd={SECRET}",
    f"pwd={SECRET}",
    f"passphrase: {SECRET}",
    f"private_key={SECRET}",
    f"aws_secret_access_key={SECRET}",
    f"Authorization: Token {SECRET}",
    f"Authorization: ApiKey {SECRET}",
    f"authorization: {SECRET}",
    f"Proxy-Authorization: {SECRET}",
    f"{{'authorization': 'Token of {SECRET}'}}",
    f"b'x-api-key': b'{SECRET}'",
    f"[(b'host', b'a'), (b'x-api-key', b'{SECRET}'), (b'after', b'it')]",
    f"[('X-API-Key', '{SECRET}')]",
    f'["authorization", "Token of {SECRET}"]',
    f"Sec-WebSocket-Protocol: orders, orders.bearer.{SECRET}",
    f'{{"password": "a b {SECRET}"}}',
    f'{{"password":"a \\"quoted\\" {SECRET}","after":"it"}}',
    f"password='it\\'s {SECRET}' user=x",
    f'password="a, b {SECRET}',
    f'{{"token": {SECRET}}}',
    f"postgresql://u:pa/ss{SECRET}@h/db",
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


def test_only_the_value_is_hidden() -> None:
    hide = Secrets().hidden_in
    assert hide(f"client_secret={SECRET}&after=it") == "client_secret=***&after=it"
    assert hide(f'{{"password": "a b {SECRET}", "after": "it"}}') == '{"password": "***", "after": "it"}'
    assert hide(f"Authorization: Token {SECRET}; after") == "Authorization: ***; after"
    assert hide(f"(b'x-api-key', b'{SECRET}'), (b'after', b'it')") == "(b'x-api-key', b'***'), (b'after', b'it')"
    assert hide(f"https://u:{SECRET}@host/x?mail=a@b") == "https://u:***@host/x?mail=a@b"


@pytest.mark.parametrize("start", ["", "password='", 'password="', "://a:"])
@pytest.mark.parametrize("piece", ["://a:", "api_key", "('token", "secret: ", "eyJA", "\\", '\\"', " ", "a"])
def test_no_line_takes_long(start: str, piece: str) -> None:
    began = time.process_time()
    Secrets().hidden_in(start + piece * (50_000 // len(piece)))
    assert time.process_time() - began < 0.5


# Each would take minutes if it were looked at again from each of its places.
@pytest.mark.parametrize(
    "text",
    ["-eyJ12345678" * 100_000, "('token', " + "\\" * 300_000 + "'" + ("\\" * 299_999 + "x") * 3],
    ids=["beginnings of tokens", "a quote behind ever so many backslashes"],
)
def test_a_text_is_read_in_one_go(text: str) -> None:
    assert Secrets().hidden_in(text)


@pytest.mark.parametrize("depth", range(9))
def test_a_pair_is_hidden_up_to_eight_texts_deep(depth: int) -> None:
    quote = "\\" * (2**depth - 1) + '"'
    pair = f"({quote}x-api-key{quote}, {quote}{SECRET}{quote})"
    assert SECRET not in Secrets().hidden_in(pair)


@pytest.mark.parametrize("before", ["", "-", "a-", "a.", "eyJ.", "eyJ-eyJ-", "a.b.", "é-"])
def test_a_token_is_hidden_wherever_it_begins(before: str) -> None:
    assert Secrets().hidden_in(f"{before}{JWT} after").endswith("*** after")


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
        '{"event": "no such token", "after": "it"}',
        '{"event": "a wrong token:", "after": "it"}',
        '{"event": "a wrong \\"token:\\"", "after": "it"}',
        '{"event": "password=", "after": "it"}',
        '{"token": null, "password": {"min": 8}, "secret": ""}',
        "GET http://127.0.0.1:8000/orders?mail=a@b",
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


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("postgresql://u:s3[cret]@127.0.0.1:1/db", ["s3[cret]"]),
        ("postgresql://u:s3cret#pass@db/orders", ["s3cret#pass"]),
        ("postgresql://u:s3cret?pass@db/orders", ["s3cret?pass"]),
        ("postgresql://u@db/orders?password=s3cret%2Dpass&application_name=a", ["s3cret-pass", "s3cret%2Dpass"]),
        ("postgresql://u:plain%2Dpass@db/orders?sslpassword=of-the-key", ["plain-pass", "plain%2Dpass", "of-the-key"]),
    ],
)
@pytest.mark.parametrize("setting", ["DATABASE_URL", "DATABASE_DIRECT_URL", "DATABASE_OWNER_URL"])
def test_a_databases_password_is_what_libpq_takes_for_it(
    url: str, passwords: list[str], setting: str, tmp_path: Path
) -> None:
    hide = secrets_of(load_settings({"DATABASE_URL": "postgresql://u@db/orders", setting: url}, tmp_path / "no.env"))
    for password in passwords:
        assert hide.hidden_in(f"the server said {password} here") == "the server said *** here"
