"""Reports in whatever order the exchange sends them come out in their own, each once."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from exchange_adapter import simulated_reports
from exchange_adapter.errors import ReportsLost
from exchange_adapter.simulated_reports import SimulatedReports
from exchange_adapter.venue import ReportPosition


class Sender:
    """An exchange's end of the stream; it says what it is told to."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(self.address)
        self._listening.listen()
        self._connection: socket.socket | None = None

    def reader(self, after: int) -> SimulatedReports:
        """The answer to `reports` lies ready before it is asked for."""
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(self.address)
        self._connection, _ = self._listening.accept()
        self._connection.sendall(b'{"id":1,"outcome":"streaming","journal":"j","after":0,"last_seq":0}\n')
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(simulated_reports, "connect", lambda address: client)
            return SimulatedReports(self.address, ReportPosition(None, after))

    def send(self, seqs: Sequence[int]) -> None:
        assert self._connection is not None
        lines = [{"kind": "expired", "seq": seq, "order_id": "o", "reason": "", "leaves": 0} for seq in seqs]
        self._connection.sendall(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    def close(self) -> None:
        self._listening.close()
        if self._connection is not None:
            self._connection.close()


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    sender = Sender(tmp_path / "s")
    yield sender
    sender.close()


def batch(reader: SimulatedReports, limit: int = 100, timeout_s: float = 0.05) -> list[int]:
    return [report.seq for report in reader.next_batch(limit, timeout_s)]


@pytest.mark.parametrize(
    "sent", [[1, 2, 3, 4], [1, 1, 2, 2, 3, 4, 1], [2, 1, 4, 3], [4, 3, 2, 1], [3, 3, 1, 3, 2, 2, 4, 1]]
)
def test_reports_come_in_their_order_and_once(sender: Sender, sent: list[int]) -> None:
    reader = sender.reader(after=0)
    sender.send(sent)
    assert batch(reader) == [1, 2, 3, 4]
    assert batch(reader) == []
    reader.close()


def test_what_was_read_before_is_left_out_and_not_kept(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_reports, "MAX_EARLY_REPORTS", 0)
    reader = sender.reader(after=2)
    sender.send([1, 2, 3, 3])
    assert batch(reader) == [3]
    assert batch(reader) == []
    reader.close()


def test_a_batch_is_bounded_and_the_rest_comes_without_waiting_for_more(sender: Sender) -> None:
    reader = sender.reader(after=0)
    sender.send([3, 4, 2, 1])
    assert batch(reader, limit=3) == [1, 2, 3]
    assert batch(reader, limit=3, timeout_s=5) == [4]
    reader.close()


def test_a_report_waits_for_the_one_before_it_and_does_not_keep_others_back(sender: Sender) -> None:
    reader = sender.reader(after=0)
    sender.send([1, 3, 4])
    assert batch(reader) == [1]
    assert batch(reader) == []
    sender.send([2])
    assert batch(reader) == [2, 3, 4]
    reader.close()


def test_a_report_that_stays_away_is_asked_for_again(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = sender.reader(after=0)
    sender.send([1, 3])
    assert batch(reader) == [1]
    monkeypatch.setattr(simulated_reports, "REPORT_SILENCE_S", 0.0)
    sender.send([4])
    with pytest.raises(ReportsLost, match="report 3 came after 1"):
        batch(reader)
    reader.close()


def test_no_more_than_a_bound_is_kept_for_one_that_stays_away(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_reports, "MAX_EARLY_REPORTS", 5)
    reader = sender.reader(after=0)
    sender.send(range(2, 8))
    with pytest.raises(ReportsLost, match="report 2 came after 0"):
        batch(reader)
    reader.close()
