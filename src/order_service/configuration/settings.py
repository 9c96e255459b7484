"""The settings: environment variables over a `.env` file, all checked at once, each error naming its setting."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from order_service.bounds import MAX_SOCKET_PATH_BYTES
from order_service.configuration.access_settings import ACCESS_NAMES, AccessSettings, access_settings, require_safe
from order_service.configuration.broker_settings import broker_settings
from order_service.configuration.catalogue_file import read_catalogue
from order_service.configuration.database_settings import DATABASE_NAMES, database_urls
from order_service.configuration.rate_settings import RATE_NAMES, Rates, checked_rates
from order_service.configuration.secret_files import FILE_NAMES, with_secrets
from order_service.errors import SettingsError, WrongSetting
from orders.domain.instruments import BUILT_IN, Catalogue

NAMES = (
    "BASE_URL",
    "LISTEN",
    "TRUSTED_PROXY",
    *ACCESS_NAMES,
    *RATE_NAMES,
    "ENVIRONMENT",
    "LOG_LEVEL",
    *DATABASE_NAMES,
    "ORDERS_DATA_DIR",
    "AMQP_URL",
    "INTEGRATION_EVENTS",
    "EXCHANGE",
    "EXCHANGE_ADDRESS",
    "VENUE_CALL_TIMEOUT_S",
    "VENUE_MAX_CALLS",
    "VENUE_CALLS_PER_S",
    "PARK_AFTER_ATTEMPTS",
    "ON_DOUBT",
    "ALERT_WEBHOOK_URL",
    "EXCHANGE_FILL_DELAY",
    "INSTRUMENTS",
    "DEFAULT_SYMBOL",
)
"""Every setting, in the order of `.env.example`."""

ROOT_DATA_DIR = "/var/lib/orders"
_PRODUCTION = "production"
_ENVIRONMENTS = ("development", _PRODUCTION)
_HOLD, _RESEND = "hold", "resend"
_LOG_LEVELS = ("info", "debug", "warning", "error")


class Address(Struct, frozen=True):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Settings(Struct, frozen=True, kw_only=True):
    """Checked values; `database_url` is empty where the embedded PostgreSQL serves, `amqp_url` where there is no
    RabbitMQ; `venue_calls_per_s` is None where nothing limits them."""

    base_url: str
    listen: Address
    trusted_proxy: str
    access: AccessSettings
    rates: Rates
    environment: str
    log_level: str
    database_url: str
    database_direct_url: str
    database_owner_url: str
    data_dir: Path
    amqp_url: str
    integration_events: bool
    exchange: str
    exchange_address: str
    venue_call_timeout_s: float
    venue_max_calls: int
    venue_calls_per_s: float | None
    park_after_attempts: int
    resend_in_doubt: bool
    alert_webhook_url: str
    exchange_fill_delay: tuple[float, float]
    catalogue: Catalogue
    default_symbol: str | None

    @property
    def production(self) -> bool:
        return self.environment == _PRODUCTION

    @property
    def simulates_exchange(self) -> bool:
        return self.exchange == "simulated"


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    """Settings from the environment (default: this process's) over the file (default: `.env` in the current folder).

    Raises SettingsError, which lists every wrong setting.
    """
    environ = os.environ if environ is None else environ
    env_file = Path(".env") if env_file is None else env_file
    known = {name: value for name, value in environ.items() if name in NAMES or name in FILE_NAMES}
    raw = with_secrets({**_read_env_file(env_file), **known})
    return _Check({name: raw.get(name, "").strip() for name in NAMES}).settings()


def _read_env_file(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, interpolate=False) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([WrongSetting(str(path), f"cannot be read: {error}")]) from None
    return {key: value or "" for key, value in values.items()}


class _Check:
    """Reads each setting, and keeps what is wrong, so that a person mends all at once."""

    def __init__(self, raw: dict[str, str]) -> None:
        self._raw = raw
        self._wrong: list[WrongSetting] = []

    def settings(self) -> Settings:
        environment = self._one_of("ENVIRONMENT", _ENVIRONMENTS)
        access = access_settings(self._raw, self._refuse)
        base_url = self._base_url(environment == _PRODUCTION, access)
        data_dir = self._data_dir()
        catalogue = self._catalogue()
        urls = database_urls(self._raw, self._refuse)
        amqp_url, integration_events = broker_settings(self._raw, self._refuse)
        checked: dict[str, Any] = {
            "base_url": base_url,
            "listen": self._listen(base_url, access),
            "trusted_proxy": self._trusted_proxy(),
            "access": access,
            "rates": checked_rates(self._raw, self._refuse, required=access.required),
            "environment": environment,
            "log_level": self._one_of("LOG_LEVEL", _LOG_LEVELS),
            "database_url": urls.url,
            "database_direct_url": urls.direct,
            "database_owner_url": urls.owner,
            "data_dir": data_dir,
            "amqp_url": amqp_url,
            "integration_events": integration_events,
            "exchange": self._exchange(),
            "exchange_address": self._exchange_address(data_dir),
            "venue_call_timeout_s": self._number("VENUE_CALL_TIMEOUT_S", 10.0, least=0.05, most=600.0),
            "venue_max_calls": int(self._number("VENUE_MAX_CALLS", 500, least=1, most=5000, whole=True)),
            "venue_calls_per_s": self._number("VENUE_CALLS_PER_S", 0.0, least=0.1, most=1e6) or None,
            "park_after_attempts": int(self._number("PARK_AFTER_ATTEMPTS", 8, least=1, most=1000, whole=True)),
            "resend_in_doubt": self._one_of("ON_DOUBT", (_HOLD, _RESEND)) == _RESEND,
            "alert_webhook_url": self._webhook(),
            "exchange_fill_delay": self._range("EXCHANGE_FILL_DELAY", (4.0, 6.0), most=3600.0),
            "catalogue": catalogue,
            "default_symbol": self._default_symbol(catalogue),
        }
        if self._wrong:
            raise SettingsError(self._wrong)
        return Settings(**checked)

    def _refuse(self, name: str, what: str) -> None:
        self._wrong.append(WrongSetting(name, what))

    def _one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self._raw[name] or allowed[0]
        if value not in allowed:
            self._refuse(name, f"{value!r} is none of {', '.join(allowed)}")
        return value

    def _base_url(self, production: bool, access: AccessSettings) -> str:
        scheme, usual_port = ("https", 443) if access.tls_certificate else ("http", 80)
        given = self._raw["BASE_URL"] or f"{scheme}://127.0.0.1:{usual_port if production else 8000}"
        try:
            parts = urlsplit(given)
            port = parts.port
        except ValueError as error:
            self._refuse("BASE_URL", f"is not like http://127.0.0.1:8000: {error}")
            return ""
        beside = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or beside:
            self._refuse("BASE_URL", "is not like http://127.0.0.1:8000, with no path, query or password")
            return ""
        if access.tls_certificate and parts.scheme != "https":
            self._refuse("BASE_URL", "begins with http://, but TLS_CERTIFICATE is set: make it https://")
        return given.rstrip("/")

    def _listen(self, base_url: str, access: AccessSettings) -> Address:
        given = self._raw["LISTEN"]
        if given:
            address = _address(given)
            if address is None:
                self._refuse("LISTEN", f"{given!r} is not host:port")
                return Address("127.0.0.1", 0)
        else:
            parts = urlsplit(base_url)
            if not parts.hostname:
                return Address("127.0.0.1", 0)  # _base_url has said it
            address = Address(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        name = "LISTEN" if given else "BASE_URL"
        require_safe(name, address.host, access, self._raw["TRUSTED_PROXY"], self._refuse)
        return address

    def _trusted_proxy(self) -> str:
        given = self._raw["TRUSTED_PROXY"]
        try:
            if given and not ipaddress.ip_network(given).prefixlen:
                self._refuse("TRUSTED_PROXY", f"{given} is every address: name those of the proxy")
        except ValueError:
            self._refuse("TRUSTED_PROXY", f"{given!r} is not the IP address of a proxy, nor a network like 10.0.0.0/24")
        return given

    def _webhook(self) -> str:
        """Never shows the value: its path is often a secret."""
        given = self._raw["ALERT_WEBHOOK_URL"]
        try:
            parts = urlsplit(given)
            usable = not given or (parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0)
        except ValueError:
            usable = False
        if not usable:
            self._refuse("ALERT_WEBHOOK_URL", "is not like https://alerts.example.com/hook")
        return given

    def _data_dir(self) -> Path:
        given = self._raw["ORDERS_DATA_DIR"]
        if not given:
            return default_data_dir()
        try:
            return Path.cwd() / Path(given).expanduser()
        except RuntimeError as error:
            self._refuse("ORDERS_DATA_DIR", f"{given!r}: {error}")
            return Path.cwd()

    def _exchange(self) -> str:
        given = self._raw["EXCHANGE"] or "simulated"
        module, _, name = given.partition(":")
        dotted = all(part.isidentifier() for part in module.split("."))
        if given != "simulated" and not (dotted and name.isidentifier()):
            self._refuse("EXCHANGE", f"{given!r} is neither simulated nor module:function nor module:Class")
        return given

    def _exchange_address(self, data_dir: Path) -> str:
        given = self._raw["EXCHANGE_ADDRESS"]
        if given and "/" not in given and _address(given) is None:
            self._refuse("EXCHANGE_ADDRESS", f"{given!r} is neither a socket's path nor host:port")
        path = given or str(data_dir / "exchange.sock")
        if "/" in path and len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
            name = "EXCHANGE_ADDRESS" if given else "ORDERS_DATA_DIR"
            self._refuse(
                name,
                f"the socket's path {path} is longer than {MAX_SOCKET_PATH_BYTES} bytes: choose a shorter one"
                " (EXCHANGE_ADDRESS)",
            )
        return path

    def _number(self, name: str, default: float, *, least: float, most: float, whole: bool = False) -> float:
        given = self._raw[name]
        try:
            value = (int(given) if whole else float(given)) if given else default
        except ValueError:
            value = float("nan")
        if given and not least <= value <= most:
            kind = "a whole number" if whole else "a number"
            self._refuse(name, f"{given!r} is not {kind} from {least:g} to {most:g}")
            return default
        return value

    def _range(self, name: str, default: tuple[float, float], *, most: float) -> tuple[float, float]:
        given = self._raw[name]
        if not given:
            return default
        low, dash, high = given.partition("-")
        try:
            pair = (float(low), float(high if dash else low))
        except ValueError:
            pair = (1.0, 0.0)
        if not 0 <= pair[0] <= pair[1] <= most:
            self._refuse(name, f"{given!r} is not a range of seconds like 4-6, from 0 to {most:g}")
            return default
        return pair

    def _catalogue(self) -> Catalogue:
        given = self._raw["INSTRUMENTS"]
        if not given:
            return BUILT_IN
        try:
            return read_catalogue(Path(given))
        except (OSError, ValueError) as error:
            self._refuse("INSTRUMENTS", f"{given}: {getattr(error, 'strerror', None) or error}")
            return BUILT_IN

    def _default_symbol(self, catalogue: Catalogue) -> str | None:
        given = self._raw["DEFAULT_SYMBOL"]
        if given and catalogue.named(given) is None:
            self._refuse("DEFAULT_SYMBOL", f"{given!r} is not in the catalogue ({', '.join(catalogue.symbols)})")
        return given or None


def default_data_dir() -> Path:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path(ROOT_DATA_DIR)
    from platformdirs import user_data_path

    return user_data_path("orders", appauthor=False)


def _address(given: str) -> Address | None:
    host, _, port = given.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return Address(host.strip("[]"), int(port))
