"""Which service gets the load: none that is not meant to."""

from __future__ import annotations

from pathlib import Path

import pytest

from load.run.service import CannotLoad, is_loopback, read_settings, require_harmless, service
from load.servers import free_port


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:80", "https://127.9.9.9:1"])
def test_loopback_is_this_machine(url: str) -> None:
    assert is_loopback(url)
    require_harmless(url, "simulated", sure=False)


@pytest.mark.parametrize("url", ["http://orders.example.com", "http://10.0.0.7:8000", "http://127.0.0.1.example.com"])
def test_another_machine_gets_no_order_without_a_yes(url: str) -> None:
    assert not is_loopback(url)
    with pytest.raises(CannotLoad, match=r"another machine.*--yes"):
        require_harmless(url, "simulated", sure=False)
    require_harmless(url, "simulated", sure=True)


def test_an_exchange_that_is_not_simulated_gets_no_order_without_a_yes() -> None:
    with pytest.raises(CannotLoad, match=r"EXCHANGE=my\.venue:place_order is no simulation"):
        require_harmless("http://127.0.0.1:8000", "my.venue:place_order", sure=False)
    require_harmless("http://127.0.0.1:8000", "my.venue:place_order", sure=True)


def test_settings_come_from_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("BASE_URL=http://127.0.0.1:1\nORDERS_API_KEY=from-the-file\n")
    found = read_settings({"BASE_URL": "http://127.0.0.1:2", "HOME": "/root"}, file)
    assert (found["BASE_URL"], found["ORDERS_API_KEY"], found["EXCHANGE"]) == (
        "http://127.0.0.1:2",
        "from-the-file",
        "",
    )
    assert "HOME" not in found


def test_a_service_elsewhere_where_nobody_listens_is_said_and_none_is_started() -> None:
    settings = {**read_settings({}, Path("none")), "BASE_URL": f"http://host.invalid:{free_port()}"}
    with pytest.raises(CannotLoad, match="nobody listens"), service(settings, own=False, sure=True):
        pass
