"""A person breaks the running exchange: down, crashed, cut off, in disorder; and nothing that it said is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulated_exchange.audit import audit
from simulated_exchange.control_client import ask
from simulated_exchange.errors import ControlRefused, ControlUnreachable
from tests.support.exchange_client import ExchangeClient, Message, submission
from tests.support.exchange_process import ExchangeProcess
from tests.support.waiting import wait_until


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    with ExchangeProcess(tmp_path / "venue") as process:
        yield process


def faults(exchange: ExchangeProcess, **fields: Any) -> Message:
    return ask(exchange.folder, "faults", **fields)


def cut_off(client: ExchangeClient) -> bool:
    """Whether the exchange ended this connection; waits for it."""
    try:
        client.receive()
    except (EOFError, ConnectionError):
        return True
    return False


def up(exchange: ExchangeProcess, starts: int) -> None:
    wait_until(lambda: (seen := faults(exchange))["up"] and seen["starts"] == starts, what="the exchange")


def test_an_outage_cuts_everybody_off_and_lets_nobody_in_until_it_is_over(exchange: ExchangeProcess) -> None:
    with exchange.client() as client:
        first = client.submit("o1", limit_price="1.08")
        shown = faults(exchange, outage_s=600.0)
        assert (shown["up"], shown["outage_left_s"] > 590) == (False, True)
        assert cut_off(client)
    wait_until(lambda: not Path(exchange.address).exists(), what="the socket to go")
    with pytest.raises(OSError, match="No such file"):
        exchange.client()
    faults(exchange, outage_s=0.0)
    up(exchange, starts=2)
    with exchange.client() as client:
        assert client.submit("o1", limit_price="1.08") == first
        assert client.call("health")["faults"]["error_rate"] == 0


def test_an_outage_ends_by_itself_and_what_fell_due_meanwhile_happens_dated_when_it_was_due(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", fill_delay="0.05") as exchange:
        with exchange.client() as client:
            client.submit("market")
            faults(exchange, outage_s=0.3)
        up(exchange, starts=2)
        with exchange.client() as client:
            wait_until(lambda: client.query("market")["state"] == "executed", what="the house")
        placed, filled = exchange.journal()
        assert filled.at - placed.at == 50_000


def test_a_port_is_the_same_after_an_outage(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", address="127.0.0.1:0") as exchange:
        with exchange.client() as client:
            faults(exchange, outage_s=0.1)
            assert cut_off(client)
        up(exchange, starts=2)
        with exchange.client() as client:
            assert client.call("ping")["outcome"] == "pong"


def test_an_outage_can_be_asked_for_on_the_command_line_and_ended_by_stopping(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--outage", "10m") as exchange:
        wait_until(lambda: not faults(exchange)["up"], what="the outage")
        assert exchange.stop() == 0
        assert "Traceback" not in exchange.stderr()


def test_crashes_under_load_lose_nothing_that_was_answered(exchange: ExchangeProcess) -> None:
    answered: dict[str, Message] = {}
    for crash in range(5):
        names = [f"o{crash}-{number}" for number in range(300)]
        with exchange.client() as client:
            keys = {client.send(**submission(name, limit_price="1.08")): name for name in names}
            try:
                for _ in range(20):
                    answer = client.receive()
                    answered[keys[answer.pop("id")]] = answer
                faults(exchange, restart=True)
                while True:
                    answer = client.receive()
                    answered[keys[answer.pop("id")]] = answer
            except (EOFError, ConnectionError):
                pass
        up(exchange, starts=crash + 2)
    assert len(answered) >= 100
    with exchange.client() as client:
        for name, answer in answered.items():
            assert client.submit(name, limit_price="1.08") == answer
    assert audit(exchange.journal()).findings == []
    assert "Traceback" not in exchange.stderr()


def test_an_exchange_that_crashes_now_and_then_keeps_what_it_answered(exchange: ExchangeProcess) -> None:
    faults(exchange, crash_every_s=[0.1, 0.2])
    wait_until(lambda: faults(exchange)["starts"] > 3, what="some crashes")
    faults(exchange, crash_every_s=[0, 0])
    wait_until(lambda: faults(exchange)["up"], what="the exchange")
    starts = faults(exchange)["starts"]
    with exchange.client() as client:
        assert client.submit("o1", limit_price="1.08")["outcome"] == "accepted"
    assert faults(exchange)["starts"] == starts
    assert "Traceback" not in exchange.stderr()


def test_a_reader_that_is_cut_off_again_and_again_gets_every_report_once(exchange: ExchangeProcess) -> None:
    with exchange.client() as client:
        client.call_many([submission(f"o{number}", limit_price="1.08") for number in range(600)])
    faults(exchange, disconnect_rate=0.8, duplicate_rate=0.1, reorder_rate=0.1)
    seen: dict[int, Message] = {}
    disorders = cuts = 0
    while len(seen) < 600:
        after = next(seq for seq in range(601) if seq + 1 not in seen)
        with exchange.client() as reader:
            try:
                reader.reports(after)
                while len(seen) < 600:
                    report = reader.receive()
                    if report["kind"] == "heartbeat":
                        continue
                    disorders += report["seq"] in seen or (report["seq"] - 1 not in seen and report["seq"] > 1)
                    assert seen.setdefault(report["seq"], report) == report
            except (EOFError, ConnectionError):
                cuts += 1
    assert sorted(seen) == list(range(1, 601))
    assert disorders > 10
    assert cuts > 0


def test_disconnecting_cuts_every_connection_and_nothing_else(exchange: ExchangeProcess) -> None:
    with exchange.client() as one, exchange.client() as two:
        one.submit("o1", limit_price="1.08")
        two.reports()
        two.take_reports(1)
        faults(exchange, disconnect=True)
        assert cut_off(one)
        assert cut_off(two)
    with exchange.client() as client:
        assert client.query("o1")["state"] == "working"
    assert faults(exchange)["starts"] == 1


def test_a_request_at_which_the_connection_is_cut_is_not_carried_out(exchange: ExchangeProcess) -> None:
    faults(exchange, disconnect_rate=1.0)
    with exchange.client() as client:
        client.send(**submission("o1"))
        assert cut_off(client)
    with exchange.client() as client:
        assert client.query("o1") == {"outcome": "not_found"}


def test_a_bust_reaches_the_readers_of_reports_and_survives_a_crash(exchange: ExchangeProcess) -> None:
    with exchange.client() as client:
        client.submit("bid", limit_price="1.08")
        client.submit("ask", side="sell", limit_price="1.08")
        client.reports()
        reports = client.take_reports(4)
        busted = ask(exchange.folder, "bust", order_id="bid")
        [report] = client.take_reports(1)
        assert (report["kind"], report["ref_exec_id"]) == ("busted", reports[3]["exec_id"])
        assert (busted["exec_id"], busted["leaves"]) == (report["exec_id"], 10)
        corrected = ask(exchange.folder, "correct", order_id="ask", price="1.07")
        [report] = client.take_reports(1)
        assert (report["kind"], report["price"], report["leaves"]) == ("corrected", "1.07000", 0)
        assert corrected["exec_id"] == report["exec_id"]
    exchange.kill()
    exchange.start()
    with exchange.client() as client:
        assert (client.query("bid")["state"], client.query("bid")["executions"]) == ("working", [])
        assert client.query("ask")["executions"][0]["exec_id"] == report["exec_id"]
    assert audit(exchange.journal()).findings == []


def test_where_control_is_off_there_is_none(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--no-control") as exchange:
        assert not (exchange.folder / "control").exists()
        with pytest.raises(ControlUnreachable, match="no simulated exchange answers at"):
            faults(exchange)


def test_what_cannot_be_is_refused_in_words(exchange: ExchangeProcess) -> None:
    with ExchangeClient(str(exchange.folder / "control")) as client:
        assert client.call("explode")["error"] == "unknown_op"
        assert client.call("faults", hang_rate=2)["error"] == "bad_request"
        client.send_bytes(b"nonsense\n")
        assert client.receive()["error"] == "bad_request"
        assert client.call("faults")["faults"]["hang_rate"] == 0
        client.send_bytes(b"x" * 5_000)
        assert cut_off(client)
    with pytest.raises(ControlRefused, match="no order o1"):
        ask(exchange.folder, "bust", order_id="o1")
    assert (exchange.folder / "control").stat().st_mode & 0o777 == 0o600
    assert exchange.stop() == 0
    assert not (exchange.folder / "control").exists()


def test_a_slow_exchange_works_off_its_capacity_in_the_order_of_arrival(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--capacity", "100") as exchange, exchange.client() as client:
        asked = [client.send(**submission(f"o{number}", limit_price="1.08")) for number in range(41)]
        assert [client.receive()["id"] for _ in asked] == asked
        first, last = exchange.journal()[0].at, exchange.journal()[-1].at
        assert 0.39 <= (last - first) / 1e6 < 2
        assert faults(exchange, capacity=0)["faults"]["capacity"] == 0
