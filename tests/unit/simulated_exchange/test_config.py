"""Settings: what is accepted, and that a wrong one is named."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from simulated_exchange.clock import Clock
from simulated_exchange.config import TcpAddress, UnixAddress, parse_address, parse_fill_delay
from simulated_exchange.errors import BadSetting
from simulated_exchange.faults import FaultPlan, Faults
from simulated_exchange.main import run

FOLDER = Path("/data")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", UnixAddress(Path("/data/exchange.sock"))),
        ("/run/x.sock", UnixAddress(Path("/run/x.sock"))),
        ("/run/a:1", UnixAddress(Path("/run/a:1"))),
        ("127.0.0.1:7000", TcpAddress("127.0.0.1", 7000)),
        ("[::1]:0", TcpAddress("::1", 0)),
    ],
)
def test_an_address_is_a_path_or_host_and_port(text: str, address: UnixAddress | TcpAddress) -> None:
    assert parse_address(text, FOLDER) == address


def test_an_ipv6_address_is_printed_as_it_was_given() -> None:
    assert str(TcpAddress("::1", 7)) == "[::1]:7"


@pytest.mark.parametrize("text", [":7000", "host:", "host:x", "host:65536", "host:-1"])
def test_an_address_that_cannot_be_is_named(text: str) -> None:
    with pytest.raises(BadSetting, match="EXCHANGE_ADDRESS"):
        parse_address(text, FOLDER)


def test_a_path_that_is_too_long_for_a_socket_is_refused_with_what_to_do() -> None:
    longest = Path("/") / ("x" * 92)
    assert len(str(parse_address("", longest))) == 107
    with pytest.raises(BadSetting, match=r"too long for a socket \(108 bytes, at most 107\): set a shorter path"):
        parse_address("", Path("/") / ("x" * 93))


@pytest.mark.parametrize(("text", "range_s"), [("4-6", (4, 6)), ("0", (0, 0)), ("0.5-0.75", (0.5, 0.75))])
def test_a_fill_delay_is_a_range_of_seconds(text: str, range_s: tuple[float, float]) -> None:
    assert parse_fill_delay(text) == range_s


@pytest.mark.parametrize("text", ["", "six", "6-4", "-1", "4-", "1-2-3", "nan", "0-inf", "86401"])
def test_a_fill_delay_that_cannot_be_is_named(text: str) -> None:
    with pytest.raises(BadSetting, match="EXCHANGE_FILL_DELAY"):
        parse_fill_delay(text)


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        (FaultPlan(error_rate=1.1), "error-rate"),
        (FaultPlan(hang_rate=-0.1), "hang-rate"),
        (FaultPlan(drop_rate=float("nan")), "drop-rate"),
        (FaultPlan(error_rate=0.5, drop_rate=0.6), "together"),
        (FaultPlan(latency_s=(0, 61)), "latency"),
    ],
)
def test_faults_that_cannot_be_are_named(plan: FaultPlan, named: str) -> None:
    with pytest.raises(BadSetting, match=named):
        Faults(plan, 1)


def test_a_wrong_setting_ends_the_start_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="EXCHANGE_FILL_DELAY"):
        run(data_dir=tmp_path / "data", fill_delay="soon")
    assert not (tmp_path / "data").exists()


def test_faults_come_as_often_as_they_are_asked_for_and_the_same_for_the_same_seed() -> None:
    plan = FaultPlan(error_rate=0.1, hang_rate=0.2, drop_rate=0.3, latency_s=(0.1, 0.2))
    faults = Faults(plan, 7)
    drawn = [faults.mishap() for _ in range(10_000)]
    for name, rate in (("error", 0.1), ("hang", 0.2), ("drop", 0.3), (None, 0.4)):
        assert drawn.count(name) / 10_000 == pytest.approx(rate, abs=0.02)
    again = Faults(plan, 7)
    assert [again.mishap() for _ in range(10_000)] == drawn
    assert all(0.1 <= faults.latency_s() <= 0.2 for _ in range(100))


def test_without_faults_nothing_happens() -> None:
    faults = Faults(FaultPlan(), 1)
    assert {faults.mishap() for _ in range(1_000)} == {None}
    assert faults.latency_s() == 0


def test_the_plan_can_be_changed_while_running() -> None:
    faults = Faults(FaultPlan(), 1)
    faults.plan = FaultPlan(error_rate=1.0)
    assert faults.mishap() == "error"


def test_time_goes_on_when_the_wall_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, monotonic = [5_000_000_000], [0]
    monkeypatch.setattr(time, "time_ns", lambda: wall[0])
    monkeypatch.setattr(time, "monotonic_ns", lambda: monotonic[0])
    clock = Clock(not_before=0)
    assert clock.now() == 5_000_000
    wall[0] -= 3_000_000_000
    assert clock.now() == 5_000_000
    monotonic[0] += 1_000_000_500
    assert clock.now() == 6_000_000
    wall[0] = 9_000_000_000
    assert clock.now() == 9_000_000


def test_time_does_not_go_back_over_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_000)
    assert Clock(not_before=7_000_000).now() >= 7_000_000
