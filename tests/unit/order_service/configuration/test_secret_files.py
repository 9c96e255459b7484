"""A secret may stand in a file that a setting names, and is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from order_service.configuration.secret_files import FILE_NAMES, SECRETS, with_secrets
from order_service.configuration.settings import NAMES, load_settings
from order_service.errors import SettingsError

URL = "postgresql://orders:geheim-4711@db:5432/orders"


def test_every_secret_is_a_setting() -> None:
    assert set(SECRETS) <= set(NAMES)
    assert not set(FILE_NAMES) & set(NAMES)


def test_the_first_line_of_the_file_is_the_value(tmp_path: Path) -> None:
    file = tmp_path / "database_url"
    file.write_text(f"{URL}\n")
    assert with_secrets({"DATABASE_URL_FILE": str(file), "EXCHANGE": "simulated"}) == {
        "DATABASE_URL": URL,
        "EXCHANGE": "simulated",
    }
    assert load_settings({"DATABASE_URL_FILE": str(file)}, tmp_path / "no.env").database_url == URL


def test_the_settings_file_may_name_it_too(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    (tmp_path / ".env").write_text(f"DATABASE_URL_FILE={tmp_path / 'url'}\n")
    assert load_settings({}, tmp_path / ".env").database_url == URL


def test_an_empty_name_is_none() -> None:
    assert with_secrets({"AMQP_URL_FILE": " "}) == {}


def test_what_is_wrong_is_said_without_the_secret(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"geheim-\xe4")
    (tmp_path / "url").write_text(URL)
    given = {
        "DATABASE_URL": "postgresql://other",
        "DATABASE_URL_FILE": str(tmp_path / "url"),
        "AMQP_URL_FILE": str(tmp_path / "none"),
        "ALERT_WEBHOOK_URL_FILE": str(tmp_path / "latin"),
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(given, tmp_path / "no.env")
    assert [str(one) for one in caught.value.wrong] == [
        "DATABASE_URL_FILE: DATABASE_URL is set, too: keep one of them",
        f"AMQP_URL_FILE: {tmp_path}/none: No such file or directory",
        f"ALERT_WEBHOOK_URL_FILE: {tmp_path}/latin: is not a text in UTF-8",
    ]
    assert "geheim" not in str(caught.value)
