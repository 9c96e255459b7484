"""Every setting: its default, what is accepted, and what is refused, in one line that names it."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from order_service.configuration.access_settings import ACCESS_NAMES, AccessSettings
from order_service.configuration.catalogue_file import read_catalogue
from order_service.configuration.rate_settings import Rates
from order_service.configuration.settings import NAMES, Address, Settings, default_data_dir, load_settings
from order_service.errors import SettingsError
from orders.domain.instruments import BUILT_IN

HERE = Path(__file__).parent
SECRET = "geheim-4711"


def load(env_file: Path | None = None, **environ: str) -> Settings:
    return load_settings(environ, env_file or HERE / "no.env")


def refusals(env_file: Path | None = None, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(env_file, **environ)
    return [str(one) for one in caught.value.wrong]


def test_without_any_setting_everything_has_the_contracts_default() -> None:
    settings = load()
    assert settings == Settings(
        base_url="http://127.0.0.1:8000",
        listen=Address("127.0.0.1", 8000),
        trusted_proxy="",
        access=AccessSettings(),
        rates=Rates(),
        environment="development",
        log_level="info",
        database_url="",
        database_direct_url="",
        database_owner_url="",
        data_dir=default_data_dir(),
        amqp_url="",
        integration_events=False,
        exchange="simulated",
        exchange_address=str(default_data_dir() / "exchange.sock"),
        venue_call_timeout_s=10.0,
        venue_max_calls=500,
        venue_calls_per_s=None,
        park_after_attempts=8,
        resend_in_doubt=False,
        alert_webhook_url="",
        exchange_fill_delay=(4.0, 6.0),
        catalogue=BUILT_IN,
        default_symbol=None,
    )
    assert settings.simulates_exchange
    assert not settings.production


def test_an_empty_value_means_the_default() -> None:
    assert load(**dict.fromkeys(NAMES, " ")) == load()


def test_production_takes_port_80_unless_base_url_says_otherwise() -> None:
    settings = load(ENVIRONMENT="production")
    assert (settings.base_url, settings.listen) == ("http://127.0.0.1:80", Address("127.0.0.1", 80))
    assert settings.production
    assert load(ENVIRONMENT="production", BASE_URL="http://127.0.0.1:9000").listen.port == 9000


ACCEPTED: list[tuple[str, str, str, Any]] = [
    ("BASE_URL", "http://localhost:8123/", "base_url", "http://localhost:8123"),
    ("BASE_URL", "http://[::1]:8123", "listen", Address("::1", 8123)),
    ("BASE_URL", "http://127.0.0.1", "listen", Address("127.0.0.1", 80)),
    ("BASE_URL", "https://localhost", "listen", Address("localhost", 443)),
    ("LISTEN", "127.0.0.2:9000", "listen", Address("127.0.0.2", 9000)),
    ("LISTEN", "[::1]:9000", "listen", Address("::1", 9000)),
    ("TRUSTED_PROXY", "10.0.0.7", "trusted_proxy", "10.0.0.7"),
    ("TRUSTED_PROXY", "10.0.0.0/24", "trusted_proxy", "10.0.0.0/24"),
    ("DATABASE_URL", "postgresql://u:p%25w@db/orders", "database_url", "postgresql://u:p%25w@db/orders"),
    ("DATABASE_URL", "postgres:///orders?host=/run/pg", "database_direct_url", "postgres:///orders?host=/run/pg"),
    ("ORDERS_DATA_DIR", "/srv/orders", "data_dir", Path("/srv/orders")),
    ("ORDERS_DATA_DIR", "/srv/orders", "exchange_address", "/srv/orders/exchange.sock"),
    ("ORDERS_DATA_DIR", "here", "data_dir", Path.cwd() / "here"),
    ("ORDERS_DATA_DIR", "~/orders", "data_dir", Path.home() / "orders"),
    ("EXCHANGE", "my.venue:place_order", "exchange", "my.venue:place_order"),
    ("EXCHANGE_ADDRESS", "/run/exchange.sock", "exchange_address", "/run/exchange.sock"),
    ("EXCHANGE_ADDRESS", "10.0.0.9:7000", "exchange_address", "10.0.0.9:7000"),
    ("VENUE_CALL_TIMEOUT_S", "2.5", "venue_call_timeout_s", 2.5),
    ("VENUE_MAX_CALLS", "16", "venue_max_calls", 16),
    ("VENUE_CALLS_PER_S", "", "venue_calls_per_s", None),
    ("VENUE_CALLS_PER_S", "0.5", "venue_calls_per_s", 0.5),
    ("PARK_AFTER_ATTEMPTS", "3", "park_after_attempts", 3),
    ("ON_DOUBT", "hold", "resend_in_doubt", False),
    ("ON_DOUBT", "resend", "resend_in_doubt", True),
    (
        "ALERT_WEBHOOK_URL",
        "https://alerts.example.com/hook?key=x",
        "alert_webhook_url",
        "https://alerts.example.com/hook?key=x",
    ),
    ("EXCHANGE_FILL_DELAY", "0.1-0.3", "exchange_fill_delay", (0.1, 0.3)),
    ("EXCHANGE_FILL_DELAY", "2", "exchange_fill_delay", (2.0, 2.0)),
    ("DEFAULT_SYMBOL", "EURUSD", "default_symbol", "EURUSD"),
]


@pytest.mark.parametrize(("name", "given", "field", "value"), ACCEPTED)
def test_a_right_value_is_taken(name: str, given: str, field: str, value: Any) -> None:
    assert getattr(load(**{name: given}), field) == value


REFUSED = [
    ("BASE_URL", "127.0.0.1:8000"),
    ("BASE_URL", "ftp://127.0.0.1"),
    ("BASE_URL", "http://"),
    ("BASE_URL", "http://[::1"),
    ("BASE_URL", "http://127.0.0.1:0"),
    ("BASE_URL", "http://127.0.0.1:99999"),
    ("BASE_URL", "http://127.0.0.1:8000/api"),
    ("BASE_URL", "http://127.0.0.1:8000?x=1"),
    ("BASE_URL", f"http://u:{SECRET}@127.0.0.1:8000"),
    ("BASE_URL", "http://10.0.0.1:8000"),
    ("BASE_URL", "ftp://10.0.0.1:8000"),
    ("LISTEN", "8000"),
    ("LISTEN", "127.0.0.1:"),
    ("LISTEN", "127.0.0.1:70000"),
    ("LISTEN", "0.0.0.0:8000"),
    ("TRUSTED_PROXY", "proxy"),
    ("TRUSTED_PROXY", "0.0.0.0/0"),
    ("TRUSTED_PROXY", "::/0"),
    ("RATE_LIMIT_ORDERS_PER_S", "many"),
    ("RATE_LIMIT_READS_PER_S", "-1"),
    ("ENVIRONMENT", "prod"),
    ("ENVIRONMENT", "Production"),
    ("LOG_LEVEL", "INFO"),
    ("DATABASE_URL", f"mysql://u:{SECRET}@db/orders"),
    ("DATABASE_URL", f"host=db password={SECRET}"),
    ("DATABASE_URL", f"postgresql://u:{SECRET}%@db/orders"),
    ("DATABASE_URL", f"postgresql://u:{SECRET}@[::1/orders"),
    ("DATABASE_URL", f"postgresql://u:{SECRET}@db/orders?no_such_option=1"),
    ("DATABASE_URL", f"postgresql://u:{SECRET}@db:99999/orders"),
    ("DATABASE_URL", f"postgresql://u:{SECRET}@db:5432,other:abc/orders"),
    ("DATABASE_URL", f"postgresql://u:{SECRET}@db/orders?sslmode=bogus"),
    ("DATABASE_DIRECT_URL", f"http://u:{SECRET}@db"),
    ("DATABASE_OWNER_URL", f"http://u:{SECRET}@db"),
    ("DATABASE_DIRECT_URL", f"postgresql://u:{SECRET}@db/orders"),
    ("DATABASE_OWNER_URL", f"postgresql://u:{SECRET}@db/orders"),
    ("ORDERS_DATA_DIR", "~nobody-of-this-name/orders"),
    ("ORDERS_DATA_DIR", "/" + "x" * 100),
    ("AMQP_URL", f"http://u:{SECRET}@127.0.0.1/"),
    ("AMQP_URL", f"amqp://u:{SECRET}@/"),
    ("AMQP_URL", f"amqp://u:{SECRET}@127.0.0.1:x/"),
    ("AMQP_URL", f"amqp://u:{SECRET}@127.0.0.1/a/b"),
    ("AMQP_URL", f"amqp://u:{SECRET}@127.0.0.1/?cafile=/ca.pem"),
    ("AMQP_URL", f"amqps://u:{SECRET}@127.0.0.1/?no_verify_ssl=1"),
    ("INTEGRATION_EVENTS", "on"),
    ("INTEGRATION_EVENTS", "yes"),
    ("EXCHANGE", "place_order"),
    ("EXCHANGE", "module:"),
    ("EXCHANGE", "a b:c"),
    ("EXCHANGE_ADDRESS", "exchange"),
    ("EXCHANGE_ADDRESS", "localhost:0"),
    ("EXCHANGE_ADDRESS", "/" + "x" * 120),
    ("VENUE_CALL_TIMEOUT_S", "0"),
    ("VENUE_CALL_TIMEOUT_S", "nan"),
    ("VENUE_CALL_TIMEOUT_S", "10 s"),
    ("VENUE_MAX_CALLS", "0"),
    ("VENUE_MAX_CALLS", "1.5"),
    ("VENUE_CALLS_PER_S", "0"),
    ("VENUE_CALLS_PER_S", "many"),
    ("ON_DOUBT", "retry"),
    ("ALERT_WEBHOOK_URL", "alerts.example.com/hook"),
    ("ALERT_WEBHOOK_URL", "https://alerts.example.com:x/hook"),
    ("PARK_AFTER_ATTEMPTS", "0"),
    ("PARK_AFTER_ATTEMPTS", "8.0"),
    ("EXCHANGE_FILL_DELAY", "6-4"),
    ("EXCHANGE_FILL_DELAY", "4-"),
    ("EXCHANGE_FILL_DELAY", "-1"),
    ("EXCHANGE_FILL_DELAY", "nan"),
    ("EXCHANGE_FILL_DELAY", "soon"),
    ("INSTRUMENTS", "/no/such/file.toml"),
    ("DEFAULT_SYMBOL", "BTCUSD"),
]


@pytest.mark.parametrize(("name", "given"), REFUSED)
def test_a_wrong_value_is_refused_in_one_line_that_names_it_and_shows_no_secret(name: str, given: str) -> None:
    (said,) = refusals(**{name: given})
    assert said.startswith(f"{name}: ")
    assert "\n" not in said
    assert SECRET not in said


def test_every_setting_is_tried_here() -> None:
    tried = {name for name, *_ in ACCEPTED} | {name for name, _ in REFUSED} | {"INSTRUMENTS"}
    assert tried | set(ACCESS_NAMES) == set(NAMES), "those are tried in test_access_settings.py"


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = refusals(ENVIRONMENT="prod", PARK_AFTER_ATTEMPTS="0", EXCHANGE="x", DEFAULT_SYMBOL="y", LISTEN="z")
    assert {line.split(":")[0] for line in said} == {
        "ENVIRONMENT",
        "PARK_AFTER_ATTEMPTS",
        "EXCHANGE",
        "DEFAULT_SYMBOL",
        "LISTEN",
    }


def test_behind_a_proxy_it_may_listen_on_any_address() -> None:
    settings = load(BASE_URL="https://orders.example", LISTEN="0.0.0.0:8000", TRUSTED_PROXY="10.0.0.7")
    assert settings.base_url == "https://orders.example"
    assert settings.listen == Address("0.0.0.0", 8000)


def test_an_address_is_printed_as_it_is_written() -> None:
    assert str(Address("127.0.0.1", 80)) == "127.0.0.1:80"
    assert str(Address("::1", 80)) == "[::1]:80"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\nPARK_AFTER_ATTEMPTS=3\nexport VENUE_CALL_TIMEOUT_S='2'\nOTHERS=x\n")
    assert load(file).park_after_attempts == 3
    assert load(file).venue_call_timeout_s == 2.0
    assert load(file, PARK_AFTER_ATTEMPTS="5").park_after_attempts == 5
    assert load(file, PARK_AFTER_ATTEMPTS="").park_after_attempts == 8


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    """A password may hold what other readers would expand."""
    file = tmp_path / ".env"
    file.write_text("DATABASE_URL='postgresql://u:pa${HOME}ss@db/orders'\n")
    assert load(file).database_url == "postgresql://u:pa${HOME}ss@db/orders"


def test_the_file_of_the_current_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PARK_AFTER_ATTEMPTS=3\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).park_after_attempts == 3


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xff\xfe\x00")
    (said,) = refusals(file)
    assert said.startswith(f"{file}: cannot be read")


def test_root_and_others_have_different_data_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/orders")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/home/x/data")
    assert default_data_dir().name == "orders"
    assert default_data_dir() != Path("/var/lib/orders")


CATALOGUE = """
code_decimals = 3
checks_isin = true

[symbols.EURUSD]
decimals = 5
[symbols."BRK.B"]
decimals = 2
lot = 100
tick_size = 0.05
"""


def catalogue_file(folder: Path, text: str) -> Path:
    file = folder / "instruments.toml"
    file.write_text(text)
    return file


def test_a_catalogue_is_read_exactly(tmp_path: Path) -> None:
    file = catalogue_file(tmp_path, CATALOGUE)
    catalogue = load(INSTRUMENTS=str(file), DEFAULT_SYMBOL="BRK.B").catalogue
    share = catalogue.named("BRK.B")
    assert share is not None
    assert (share.symbol, share.lot, share.tick) == ("BRK.B", 100, Decimal("0.05"))
    assert catalogue.named("USDCAD") is None
    assert (catalogue.code_decimals, catalogue.checks_isin, catalogue.accepts_codes) == (3, True, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[symbols", "Expected"),
        ("accepts_codes = true", "has no [symbols.NAME] table"),
        ("[symbols]", "has no [symbols.NAME] table"),
        ("[symbols]\nEURUSD = 5", "symbols.EURUSD is no table"),
        ("[symbols.'S&P 500']", "symbols.'S&P 500': a symbol has 1 to 32 letters"),
        (f"[symbols.{'X' * 33}]", "a symbol has 1 to 32 letters"),
        ("[symbols.'']", "symbols.'': a symbol has"),
        ("[symbols.EURUSD]\ndecimal = 5", "symbols.EURUSD.decimal is not known"),
        ("[symbols.EURUSD]\nsymbol = 'X'", "symbols.EURUSD.symbol is not known"),
        ("check_isin = true\n[symbols.EURUSD]", "check_isin is not known"),
        ("[symbols.EURUSD]\ndecimals = 'x'", "symbols"),
        ("[symbols.EURUSD]\ndecimals = 13", "decimals from 0 to 12"),
        ("[symbols.EURUSD]\nlot = 0", "above zero"),
        ("[symbols.EURUSD]\ntick_size = -0.1", "above zero"),
        ("[symbols.EURUSD]\ntick_size = nan", "above zero"),
        ("[symbols.EURUSD]\ntick_size = inf", "above zero"),
        ("code_lot = 0\n[symbols.EURUSD]", "code_lot must be above zero"),
        ("code_decimals = 99\n[symbols.EURUSD]", "code_decimals from 0 to 12"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_what_is_wrong_in_it(tmp_path: Path, text: str, said: str) -> None:
    file = catalogue_file(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(said)):
        read_catalogue(file)
    (line,) = refusals(INSTRUMENTS=str(file))
    assert line.startswith(f"INSTRUMENTS: {file}: ")
