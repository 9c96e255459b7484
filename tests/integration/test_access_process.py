"""An API process of its own that asks for keys over https, and our own clients at its door."""

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from order_client import NotPermitted, OrderClient, OrderMessage, Unreachable
from order_service.cli.program import orders
from order_service.security.api_keys import NewKey
from tests.support.access_service import made_key
from tests.support.certificates import certificate
from tests.support.running_service import free_port
from tests.support.waiting import wait_until

READY_S = 60.0


class Guarded:
    """`url` is https; `environment` are the settings, without a key to show."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.database_url = database_url
        self.url = f"https://localhost:{free_port()}"
        tls = certificate(folder)
        self.environment = {
            "AUTHENTICATION": "required",
            "BASE_URL": self.url,
            "DATABASE_URL": database_url,
            "ORDERS_DATA_DIR": str(folder / "data"),
            **tls,
        }
        self.tls = ssl.create_default_context(cafile=tls["TLS_CERTIFICATE"])

    def key(self, *scopes: str) -> NewKey:
        return made_key(self.database_url, "desk", *scopes)

    def client(self, key: str | None) -> OrderClient:
        return OrderClient(self.url, api_key=key, tls=self.tls, timeout_s=5)

    def run(self, *arguments: str, key: str = "") -> Result:
        environment = {**self.environment, "ORDERS_API_KEY": key}
        return CliRunner().invoke(orders, arguments, prog_name="orders", env=environment)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/live", verify=self.tls, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def serving(guarded: Guarded, folder: Path) -> Iterator[None]:
    environment = {**os.environ, **guarded.environment}
    with (folder / "api.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "order_service", "api"], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        wait_until(guarded.answers, within_s=READY_S, what=f"the API; its log: {log.name}")
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    guarded = Guarded(folder, module_database_url)
    with serving(guarded, folder):
        yield guarded


def test_the_client_shows_its_key_over_https_and_on_the_socket(guarded: Guarded) -> None:
    with guarded.client(guarded.key("read", "trade").text) as client, client.stream() as messages:
        order = client.place(symbol="EURUSD", quantity=10)
        first = next(messages)
        assert isinstance(first, OrderMessage)
        assert first.order_id == order.order_id
        assert client.get(order.order_id).quantity == 10


def test_without_a_key_or_with_too_little_of_one_the_client_hears_so(guarded: Guarded) -> None:
    for key in (None, "nonsense", guarded.key("read").text):
        with guarded.client(key) as client, pytest.raises(NotPermitted) as refused:
            client.place(symbol="EURUSD", quantity=10)
        assert refused.value.status == (403 if key and key != "nonsense" else 401)
    with guarded.client(None) as client, pytest.raises(NotPermitted) as refused, client.stream(after=0) as messages:
        next(messages)
    assert refused.value.status == 401


def test_a_client_whose_key_is_revoked_meanwhile_hears_so(guarded: Guarded) -> None:
    key = guarded.key("read")
    with guarded.client(key.text) as client, client.stream() as messages:
        assert guarded.run("keys", "revoke", key.key_id).exit_code == 0
        with pytest.raises(NotPermitted) as refused:
            next(messages)
    assert (refused.value.status, str(refused.value)) == (401, "the API key is revoked or has expired")


def test_our_own_commands_show_the_key_that_is_set(guarded: Guarded) -> None:
    key = guarded.key("read", "trade").text
    placed = guarded.run("place", "EURUSD", "10", "--key", "mine", key=key)
    assert placed.exit_code == 0, placed.output
    without = guarded.run("place", "EURUSD", "10")
    assert without.exit_code == 1
    assert without.stderr.strip().endswith("Set ORDERS_API_KEY")
    little = guarded.run("place", "EURUSD", "10", key=guarded.key("read").text)
    assert little.exit_code == 1
    assert "`trade`" in little.stderr
    assert key not in placed.output


def test_nothing_is_served_in_the_clear(guarded: Guarded) -> None:
    plain = guarded.url.replace("https", "http")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{plain}/health/live", trust_env=False)
    with OrderClient(guarded.url, timeout_s=1) as stranger, pytest.raises(Unreachable):
        stranger.instruments()  # who trusts the system's authorities alone does not trust this certificate
