"""Which service gets the load: the one at BASE_URL, or one of the run's own in a temporary folder."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from ssl import create_default_context
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from msgspec import Struct

from load.run.traffic import Target, address_of
from load.servers import HOST, temporary_folder, whole_service
from order_service.configuration.access_settings import ACCESS_NAMES
from order_service.configuration.settings import default_data_dir
from simulated_exchange.audit import Audit, audit
from simulated_exchange.control import CONTROL_NAME
from simulated_exchange.control_client import ask
from simulated_exchange.errors import ExchangeError
from simulated_exchange.journal import FILE_NAME, read_journal

DEFAULT_URL = "http://127.0.0.1:8000"
NAMES = ("BASE_URL", "EXCHANGE", "ORDERS_API_KEY", "ORDERS_DATA_DIR")
OWN = dict.fromkeys(
    (*ACCESS_NAMES, "LISTEN", "TRUSTED_PROXY", "ENVIRONMENT", "EXCHANGE_ADDRESS", "AMQP_URL", "DATABASE_DIRECT_URL"), ""
)
"""What a person has set for another service, and which would keep ours from starting beside it."""
PROBE_S = 2.0
EXCHANGE_FOLDER = "exchange"  # in the data folder


class CannotLoad(Exception):
    """`str()` says in one line why there is no load, and what to do."""


class Service(Struct, frozen=True, kw_only=True):
    """`exchange` is the folder of its simulated exchange, where this machine has it. Of an exchange of our own the
    journal is compared, too: in another there may be the orders of others."""

    target: Target
    own: bool
    exchange: Path | None

    def set_faults(self, faults: Mapping[str, float]) -> None:
        """Raises CannotLoad."""
        if self.exchange is None:
            raise CannotLoad(
                "this scenario breaks the simulated exchange, which is not on this machine, or not in ORDERS_DATA_DIR:"
                " leave BASE_URL, and add --own"
            )
        try:
            ask(self.exchange, "faults", **faults)
        except ExchangeError as error:
            raise CannotLoad(f"the exchange cannot be broken: {error}") from error

    def journal(self) -> Audit | None:
        """Raises ExchangeError."""
        return audit(read_journal(self.exchange / FILE_NAME)) if self.own and self.exchange is not None else None


def read_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> dict[str, str]:
    """Those of the service that a client needs; the service's own checks are about where it listens."""
    environ, path = os.environ if environ is None else environ, env_file or Path(".env")
    raw: dict[str, Any] = {**(dotenv_values(path, interpolate=False) if path.is_file() else {}), **environ}
    return {name: str(raw.get(name) or "").strip() for name in NAMES}


@contextmanager
def service(settings: Mapping[str, str], *, own: bool, sure: bool) -> Iterator[Service]:
    """The one at BASE_URL; one of our own where `own` says so, or where that is on this machine and nobody listens.
    `sure`: orders may go to another machine, and to an exchange that is not simulated.

    Raises CannotLoad, ServerFailed.
    """
    base_url = (settings["BASE_URL"] or DEFAULT_URL).rstrip("/")
    if own or (is_loopback(base_url) and not listens(base_url)):
        with own_service() as started:
            yield started
        return
    require_harmless(base_url, settings["EXCHANGE"], sure=sure)
    if not listens(base_url):
        raise CannotLoad(f"nobody listens at {base_url}")
    key = settings["ORDERS_API_KEY"]
    exchange = Path(settings["ORDERS_DATA_DIR"] or default_data_dir()).expanduser() / EXCHANGE_FOLDER
    near = is_loopback(base_url) and (exchange / CONTROL_NAME).exists()
    yield Service(
        target=Target(
            base_url=base_url,
            headers=(("Authorization", f"Bearer {key}"),) if key else (),
            tls=create_default_context() if base_url.startswith("https:") else None,
        ),
        own=False,
        exchange=exchange if near else None,
    )


@contextmanager
def own_service() -> Iterator[Service]:
    """Raises ServerFailed."""
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        server = running.enter_context(whole_service(folder, **OWN))
        yield Service(
            target=Target(base_url=f"http://{HOST}:{server.port}"),
            own=True,
            exchange=folder / "data" / EXCHANGE_FOLDER,
        )


def require_harmless(base_url: str, exchange: str, *, sure: bool) -> None:
    """Raises CannotLoad where the load may reach what is no toy."""
    if sure:
        return
    if not is_loopback(base_url):
        raise CannotLoad(f"{base_url} is another machine, which would get real orders. If you mean it, add --yes")
    if exchange not in ("", "simulated"):
        raise CannotLoad(f"EXCHANGE={exchange} is no simulation, and would get real orders. If you mean it, add --yes")


def is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listens(base_url: str) -> bool:
    try:
        with socket.create_connection(address_of(base_url), PROBE_S):
            return True
    except OSError:
        return False
