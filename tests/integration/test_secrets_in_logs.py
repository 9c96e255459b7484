"""No process writes down a secret, wherever a client or a setting has put it, and whatever goes wrong meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from order_service.postgres import service_url
from order_service.security.api_keys import new_key
from tests.support.api_process import ApiProcess, api_process
from tests.support.postgres_proxy import PostgresProxy
from tests.support.waiting import wait_until

WORD = "geheim-4711-0815"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJnZWhlaW0ifQ.Z2VoZWltLWdlaGVpbS1nZWhlaW0"
KEY, OUR_KEY = new_key().text, new_key().text
SETTINGS = {
    "ALERT_WEBHOOK_URL": f"https://hooks.example.com/{WORD}-of-the-hook",
    "JWT_KEY": f"{WORD}-of-the-tokens-that-is-long-enough",
    "JWT_ISSUER": "us",
    "JWT_AUDIENCE": "orders",
    "ORDERS_API_KEY": OUR_KEY,
    "LOG_LEVEL": "debug",
}
HEADERS = [
    {"Authorization": f"Bearer {KEY}"},
    {"Authorization": f"Bearer {JWT}"},
    {"Authorization": f"Basic {WORD}"},
    {"X-API-Key": KEY},
    {"Cookie": f"session={WORD}"},
    {"Idempotency-Key": KEY},
    {"traceparent": WORD},
    {"Origin": f"https://u:{WORD}@evil.example"},
    {"Content-Type": WORD},
]
PATHS = [
    f"/orders?token={WORD}",
    f"/orders/{KEY}",
    f"/events?after=x&api_key={WORD}",
    f"/{WORD}/{JWT}",
    f"/ws?token={JWT}",
]
BODIES = [
    f'{{"symbol": "EURUSD", "quantity": 1, "api_key": "{WORD}"}}',
    f'{{"symbol": "{KEY}", "quantity": 1}}',
    f'{{"{WORD}": ',
    f'{{"symbol": "EURUSD", "quantity": 1, "client_order_id": "{WORD}"}}',
]


def ask_in_every_way(api: ApiProcess) -> None:
    with httpx.Client(base_url=api.url, trust_env=False, timeout=20) as http:
        for headers in HEADERS:
            http.post("/orders", headers=headers, json={"symbol": "EURUSD", "quantity": 1})
        for path in PATHS:
            http.get(path, headers={"Authorization": f"Bearer {KEY}"})
        for body in BODIES:
            http.post("/orders", content=body)
        http.get(f"http://user:{WORD}@127.0.0.1:{api.address[1]}/orders")
    address = api.url.replace("http", "ws") + f"/ws?token={WORD}"
    with suppress(WebSocketException), connect(address, proxy=None, additional_headers={"X-API-Key": KEY}):
        pass


def expect_no_secret(text: str, database_url: str) -> None:
    password = urlsplit(database_url).password
    assert password
    for secret in (WORD, JWT, KEY, OUR_KEY, password, *SETTINGS["ALERT_WEBHOOK_URL"].rsplit("/", 1)[1:]):
        assert secret not in text, text[max(0, text.index(secret) - 300) : text.index(secret) + 100]


def test_no_line_of_a_running_service_has_one(tmp_path: Path, database_url: str) -> None:
    """With the database there, and without it, when errors quote all that they know."""
    with ExitStack() as stack:
        there = stack.enter_context(ExitStack())
        proxy = there.enter_context(PostgresProxy(database_url))
        api = stack.enter_context(api_process(tmp_path, proxy.url, **SETTINGS))
        ask_in_every_way(api)
        there.close()
        with httpx.Client(base_url=api.url, trust_env=False, timeout=20) as http:
            answer = http.post("/orders", json={"symbol": "EURUSD", "quantity": 1}, headers={"Cookie": WORD})
            assert answer.status_code == 500
        wait_until(lambda: "order not placed" in api.log, what="a line about the lost database")
        expect_no_secret(api.log, service_url(database_url))


def test_what_doctor_finds_has_none_in_any_form(tmp_path: Path, database_url: str) -> None:
    wrong = {
        "DATABASE_URL": database_url.replace("//orders:", "//nobody:"),
        "EXCHANGE": "quoting:place_order",
        "BASE_URL": "http://127.0.0.1:1",
        "ORDERS_DATA_DIR": str(tmp_path / "data"),
        "PYTHONPATH": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        **SETTINGS,
    }
    (tmp_path / "quoting.py").write_text(f'raise RuntimeError("postgres://u:{WORD}@h/ token={WORD} {KEY} {JWT}")\n')
    for form in ([], ["--json"]):
        command = [sys.executable, "-m", "order_service", "doctor", *form]
        done = subprocess.run(command, env=wrong, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert "quoting cannot be imported" in done.stdout, done.stderr
        expect_no_secret(done.stdout + done.stderr, database_url)
    assert {one["check"] for one in json.loads(done.stdout)} >= {"database", "exchange"}
