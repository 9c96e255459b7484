""".env.example lists every setting once, in order, each with a comment above it and its default as the value."""

import re
from pathlib import Path

from order_service.configuration.settings import NAMES, load_settings
from tests.tidy.tree import ROOT

# What operators were promised. A name here may not go, and a new one is added here too.
PROMISED = {
    "BASE_URL": "",
    "LISTEN": "",
    "TRUSTED_PROXY": "",
    "AUTHENTICATION": "local",
    "ALLOWED_HOSTS": "",
    "ALLOWED_ORIGINS": "",
    "TLS_CERTIFICATE": "",
    "TLS_KEY": "",
    "JWT_KEY": "",
    "JWT_PUBLIC_KEY": "",
    "JWT_ALGORITHM": "",
    "JWT_ISSUER": "",
    "JWT_AUDIENCE": "",
    "JWT_ACCOUNT_CLAIM": "sub",
    "ORDERS_API_KEY": "",
    "RATE_LIMIT_ORDERS_PER_S": "",
    "RATE_LIMIT_READS_PER_S": "",
    "ENVIRONMENT": "development",
    "LOG_LEVEL": "info",
    "DATABASE_URL": "",
    "DATABASE_DIRECT_URL": "",
    "DATABASE_OWNER_URL": "",
    "ORDERS_DATA_DIR": "",
    "AMQP_URL": "",
    "INTEGRATION_EVENTS": "off",
    "EXCHANGE": "simulated",
    "EXCHANGE_ADDRESS": "",
    "VENUE_CALL_TIMEOUT_S": "10",
    "VENUE_MAX_CALLS": "500",
    "VENUE_CALLS_PER_S": "",
    "PARK_AFTER_ATTEMPTS": "8",
    "ON_DOUBT": "hold",
    "ALERT_WEBHOOK_URL": "",
    "EXCHANGE_FILL_DELAY": "4-6",
    "INSTRUMENTS": "",
    "DEFAULT_SYMBOL": "",
}


def assignments(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE))


def without_comment(text: str) -> list[str]:
    """The settings that no comment stands above."""
    lines = text.splitlines()
    return [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if "=" in line.split(" ")[0] and not line.startswith("#") and not above.startswith("# ")
    ]


def example() -> str:
    return (ROOT / ".env.example").read_text(encoding="utf-8")


def test_the_example_has_every_promised_setting_with_its_default() -> None:
    listed = assignments(example())
    assert {name: listed.get(name) for name in PROMISED} == PROMISED


def test_every_setting_has_a_comment() -> None:
    assert without_comment(example()) == []
    assert without_comment("# why\nA=1\n\nB=2\n") == ["B=2"]


def test_the_example_lists_exactly_the_settings_in_their_order() -> None:
    assert list(assignments(example())) == list(NAMES)


def test_a_copy_of_the_example_changes_nothing(tmp_path: Path) -> None:
    assert load_settings({}, ROOT / ".env.example") == load_settings({}, tmp_path / "missing")
