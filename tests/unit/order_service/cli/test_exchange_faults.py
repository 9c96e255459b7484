"""A person breaks the simulated exchange from the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.exchange_process import ExchangeProcess
from tests.unit.order_service.cli.conftest import Run


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    """Where the settings of `run` look for it, with ORDERS_DATA_DIR."""
    with ExchangeProcess(tmp_path / "exchange") as process:
        yield process


def test_faults_are_set_and_shown(run: Run, exchange: ExchangeProcess, tmp_path: Path) -> None:
    done = run(
        *(
            "exchange",
            "faults",
            "--error-rate",
            "0.1",
            "--latency",
            "0.1-0.2",
            "--no-house",
            "--capacity",
            "20",
            "--json",
        ),
        ORDERS_DATA_DIR=str(tmp_path),
    )
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert (shown["faults"]["error_rate"], shown["faults"]["latency_s"], shown["house"]) == (0.1, [0.1, 0.2], False)
    plain = run("exchange", "faults", ORDERS_DATA_DIR=str(tmp_path)).stdout
    for line in (
        "exchange\tup",
        "house\tclosed",
        "capacity\t20 requests/s",
        "error rate\t0.1",
        "latency\t0.1 to 0.2 s",
    ):
        assert line in plain.splitlines()
    assert "error rate\t0\n" in run("exchange", "faults", "--off", ORDERS_DATA_DIR=str(tmp_path)).stdout


def test_an_outage_is_typed_in_and_ended(run: Run, exchange: ExchangeProcess, tmp_path: Path) -> None:
    done = run("exchange", "faults", "--outage", "60s", ORDERS_DATA_DIR=str(tmp_path))
    assert "exchange\tdown for 60 s more\n" in done.stdout
    assert run("exchange", "bust", "o1", ORDERS_DATA_DIR=str(tmp_path)).exit_code == 4
    assert run("exchange", "faults", "--outage", "0", ORDERS_DATA_DIR=str(tmp_path)).exit_code == 0


def test_executions_are_corrected_and_busted(run: Run, exchange: ExchangeProcess, tmp_path: Path) -> None:
    with exchange.client() as client:
        client.submit("bid", limit_price="1.08")
        client.submit("ask", side="sell", limit_price="1.08")
    done = run("exchange", "correct", "bid", "--quantity", "4", "--json", ORDERS_DATA_DIR=str(tmp_path))
    assert (json.loads(done.stdout)["outcome"], json.loads(done.stdout)["leaves"]) == ("corrected", 6)
    done = run("exchange", "bust", "bid", ORDERS_DATA_DIR=str(tmp_path))
    assert "outcome\tbusted\n" in done.stdout
    done = run("exchange", "correct", "ask", "--quantity", "11", ORDERS_DATA_DIR=str(tmp_path))
    assert (done.exit_code, "more than the order's quantity" in done.stderr) == (2, True)
    done = run("exchange", "bust", "other", ORDERS_DATA_DIR=str(tmp_path))
    assert (done.exit_code, done.stderr) == (3, "error: there is no order other\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("faults", "--outage", "soon"), "outage 'soon' is not a time"),
        (("faults", "--latency", "2-1"), "latency '2-1' is not seconds"),
        (("faults", "--error-rate", "2"), "2.0 is not in the range"),
        (("correct", "o1"), "say what it should have been"),
    ],
)
def test_what_cannot_be_meant_is_wrong_use(run: Run, arguments: tuple[str, ...], said: str) -> None:
    done = run("exchange", *arguments)
    assert (done.exit_code, said in done.stderr) == (2, True)


def test_without_an_exchange_it_says_what_to_start(run: Run, tmp_path: Path) -> None:
    done = run("exchange", "faults", ORDERS_DATA_DIR=str(tmp_path))
    assert (done.exit_code, "start one with: orders up" in done.stderr) == (5, True)


def test_in_production_nobody_breaks_it(run: Run, exchange: ExchangeProcess, tmp_path: Path) -> None:
    done = run("exchange", "faults", "--restart", ORDERS_DATA_DIR=str(tmp_path), ENVIRONMENT="production")
    assert (done.exit_code, "ENVIRONMENT is production" in done.stderr) == (2, True)


@pytest.mark.parametrize("fault", [["--error-rate", "0.1"], ["--no-house"], ["--outage", "60s"], ["--capacity", "20"]])
def test_in_production_none_is_started_broken(run: Run, tmp_path: Path, fault: list[str]) -> None:
    done = run("exchange", "--seed", "7", *fault, ORDERS_DATA_DIR=str(tmp_path), ENVIRONMENT="production")
    assert (done.exit_code, "ENVIRONMENT is production" in done.stderr) == (2, True), done.output
