"""The exchange under kill -9: what was answered or reported stays so, once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulated_exchange.audit import audit
from simulated_exchange.journal import FILE_NAME
from simulated_exchange.protocol import AcceptedReport
from tests.support.exchange_client import Message, submission
from tests.support.exchange_process import ExchangeProcess
from tests.support.waiting import wait_until

KILLS = 5
SUBMITTERS = 4


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    with ExchangeProcess(tmp_path / "venue") as process:
        yield process


def test_an_order_is_deduplicated_across_kill_9(exchange: ExchangeProcess) -> None:
    with exchange.client() as client:
        first = client.submit("o1", limit_price="1.08")
        refused = client.submit("o2", quantity=0)
        changed = client.replace("o1", "r1", quantity=12)
    exchange.kill()
    exchange.start()
    with exchange.client() as client:
        assert client.submit("o1", limit_price="1.08") == first
        assert client.submit("o2", quantity=0) == refused
        assert client.replace("o1", "r1", quantity=12) == changed
        assert client.query("o1")["quantity"] == 12
        assert client.call("health")["last_seq"] == 3


def test_house_fills_that_were_pending_come_after_a_restart(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", fill_delay="0.3") as exchange:
        with exchange.client() as client:
            client.call_many([submission(f"o{number}") for number in range(20)])
        exchange.kill()
        exchange.start()
        with exchange.client() as client:
            client.reports(20)
            filled = client.take_reports(20)
        assert {report["order_id"] for report in filled} == {f"o{number}" for number in range(20)}
        assert {report["kind"] for report in filled} == {"filled"}


def test_a_torn_last_line_is_dropped_and_the_exchange_goes_on(exchange: ExchangeProcess) -> None:
    with exchange.client() as client:
        client.call_many([submission(f"o{number}", limit_price="1.08") for number in range(3)])
    exchange.kill()
    path = exchange.folder / FILE_NAME
    path.write_bytes(path.read_bytes()[:-20])
    exchange.start()
    assert "the journal's end was cut off" in exchange.stderr()
    with exchange.client() as client:
        assert client.query("o1")["outcome"] == "found"
        assert client.query("o2") == {"outcome": "not_found"}
        assert client.submit("o2", limit_price="1.08")["seq"] == 3
    assert len(exchange.journal()) == 3


class Submitter(threading.Thread):
    """Submits orders one after the other, each until it is answered, whatever dies meanwhile."""

    def __init__(self, exchange: ExchangeProcess, name: str, done: threading.Event) -> None:
        super().__init__(name=name)
        self.accepted: dict[str, Message] = {}
        self.sent = 0
        self._exchange = exchange
        self._finish = done

    def run(self) -> None:
        while not self._finish.is_set():
            self.sent += 1
            self._submit(f"{self.name}-{self.sent}")

    def _submit(self, order_id: str) -> None:
        side = "buy" if self.sent % 2 else "sell"
        price = None if self.sent % 5 == 0 else f"1.{7 + self.sent % 3}"

        def answered() -> bool:
            try:
                with self._exchange.client() as client:
                    self.accepted[order_id] = client.submit(order_id, side=side, limit_price=price)
            except (OSError, EOFError):
                return False
            return True

        wait_until(answered, what="an answer")


class Reader(threading.Thread):
    """Follows the reports over every restart, from where it was."""

    def __init__(self, exchange: ExchangeProcess) -> None:
        super().__init__(name="reader")
        self.seqs: list[int] = []
        self.until: int | None = None
        self._exchange = exchange

    def run(self) -> None:
        wait_until(self._follow, within_s=60, what="the last report")

    def _follow(self) -> bool:
        try:
            with self._exchange.client() as client:
                assert "outcome" in client.reports(self.seqs[-1] if self.seqs else 0)
                for message in client.stream():
                    if message["kind"] != "heartbeat":
                        self.seqs.append(message["seq"])
                    if self.until is not None and self.seqs[-1] >= self.until:
                        return True
        except (OSError, EOFError):
            return False
        return False


def test_kill_9_under_load_loses_doubles_and_misreports_nothing(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", fill_delay="0.05-0.2") as exchange:
        done = threading.Event()
        submitters = [Submitter(exchange, f"s{number}", done) for number in range(SUBMITTERS)]
        reader = Reader(exchange)
        for thread in (*submitters, reader):
            thread.start()
        for kill in range(1, KILLS + 1):
            wait_until(lambda kill=kill: sum(len(each.accepted) for each in submitters) > kill * 60, what="load")
            exchange.kill()
            exchange.start()
        done.set()
        for submitter in submitters:
            submitter.join()
        with exchange.client() as client:
            wait_until(lambda: client.call("health")["awaiting_house"] == 0, what="the last house fill")
            reader.until = client.call("health")["last_seq"]
            client.submit("last", limit_price="0.5")  # wakes a reader that has read all
        reader.join()
        assert exchange.stop() == 0
        entries = exchange.journal()
    accepted = {name: answer for each in submitters for name, answer in each.accepted.items()}
    placed = Counter(
        report.order_id for entry in entries for report in entry.reports if isinstance(report, AcceptedReport)
    )
    assert {name: placed[name] for name in accepted} == dict.fromkeys(accepted, 1)
    assert audit(entries).findings == []
    assert reader.seqs == list(range(1, len(reader.seqs) + 1))
    assert len(reader.seqs) >= (reader.until or 0)
