"""The exchange as it runs: a process, a socket, a journal, and kill -9."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulated_exchange.audit import audit
from simulated_exchange.bounds import MAX_FRAME_BYTES
from simulated_exchange.journal import FILE_NAME
from simulated_exchange.protocol import AcceptedReport
from tests.support.exchange_client import ExchangeClient, Message, submission
from tests.support.exchange_process import ExchangeProcess
from tests.support.waiting import wait_until

KILLS = 5
SUBMITTERS = 4


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    with ExchangeProcess(tmp_path / "venue") as process:
        yield process


@pytest.fixture
def client(exchange: ExchangeProcess) -> Iterator[ExchangeClient]:
    with exchange.client() as connected:
        yield connected


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    """For tests that leave no order behind."""
    with ExchangeProcess(tmp_path_factory.mktemp("shared") / "venue") as process:
        yield process


@pytest.fixture
def visitor(shared: ExchangeProcess) -> Iterator[ExchangeClient]:
    with shared.client() as connected:
        yield connected


def test_an_order_goes_from_submit_to_executed_over_the_socket(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", fill_delay="0.05-0.1") as exchange, exchange.client() as client:
        client.reports()
        with exchange.client() as other:
            accepted = other.submit("o1")
            first, second = client.take_reports(2)
            assert other.query("o1")["state"] == "executed"
        assert (first["kind"], first["order_id"]) == ("accepted", "o1")
        assert accepted == {"outcome": "accepted", "venue_order_id": first["venue_order_id"], "seq": first["seq"]}
        assert (second["kind"], second["leaves"], second["liquidity"]) == ("filled", 0, "house")
        assert second["at"] - first["at"] in range(50_000, 100_001)


def test_cancel_replace_and_query_answer_as_the_reference_says(client: ExchangeClient) -> None:
    assert client.query("bid") == {"outcome": "not_found"}
    assert client.cancel("bid", "c0") == {"outcome": "rejected", "reason": "unknown order"}
    client.submit("bid", quantity=10, limit_price="1.08")
    client.submit("ask", side="sell", quantity=4, limit_price="1.08")
    replaced = client.replace("bid", "r1", quantity=12, limit_price="1.081")
    assert replaced == {"outcome": "replaced", "quantity": 12, "limit_price": "1.08100", "leaves": 8, "seq": 5}
    assert client.cancel("bid", "c1") == {"outcome": "rejected", "reason": "stale base", "seq": 6}
    assert client.cancel("bid", "c2", base="r1") == {"outcome": "canceled", "seq": 7}
    found = client.query("bid")
    [execution] = found.pop("executions")
    assert (execution["quantity"], execution["price"], execution["liquidity"]) == (4, "1.08000", "book")
    assert {name: found[name] for name in ("state", "filled", "leaves", "terms_id", "last_seq")} == {
        "state": "canceled",
        "filled": 4,
        "leaves": 0,
        "terms_id": "r1",
        "last_seq": 7,
    }


def test_executions_of_an_order_come_in_pages(client: ExchangeClient) -> None:
    sells = [submission(f"s{number}", side="sell", quantity=1, limit_price="1.08") for number in range(600)]
    client.call_many(sells)
    client.submit("big", quantity=600, limit_price="1.08")
    first, rest = client.query("big"), client.query("big", executions_from=500)
    assert (len(first["executions"]), len(rest["executions"]), first["executions_total"]) == (500, 100, 600)
    assert len({fill["exec_id"] for fill in first["executions"] + rest["executions"]}) == 600


def test_it_listens_on_tcp_too(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", address="127.0.0.1:0") as exchange, exchange.client() as client:
        assert client.call("ping")["outcome"] == "pong"
        assert client.submit("o1")["outcome"] == "accepted"


def test_many_requests_in_flight_are_each_answered(client: ExchangeClient) -> None:
    answers = client.call_many([submission(f"o{number}", limit_price="1.08") for number in range(3_000)])
    assert {answer["outcome"] for answer in answers} == {"accepted"}
    assert len({answer["venue_order_id"] for answer in answers}) == 3_000


@pytest.mark.parametrize(
    ("frame", "key", "error"),
    [
        (b"not json", None, "bad_request"),
        (b"[]", None, "bad_request"),
        (b"", None, "bad_request"),
        (b"\xff\xfe", None, "bad_request"),
        (b"[" * 10_000, None, "bad_request"),
        (b'{"op":"ping"}', None, "bad_request"),
        (b'{"op":"ping","id":{}}', None, "bad_request"),
        (b'{"op":"sing","id":1}', 1, "unknown_op"),
        (b'{"op":"ping","id":"a","more":1}', "a", "bad_request"),
        (b'{"op":"cancel","id":2,"order_id":"x"}', 2, "bad_request"),
        (b'{"op":"query","id":3,"order_id":"a b"}', 3, "bad_request"),
        (b'{"op":"query","id":4,"order_id":""}', 4, "bad_request"),
        (b'{"op":"reports","id":5,"after":-1}', 5, "bad_request"),
    ],
)
def test_a_bad_frame_is_answered_and_the_connection_goes_on(
    visitor: ExchangeClient, frame: bytes, key: object, error: str
) -> None:
    visitor.send_bytes(frame + b"\n")
    answer = visitor.receive()
    assert (answer["id"], answer["error"]) == (key, error)
    assert visitor.call("ping")["outcome"] == "pong"


@pytest.mark.parametrize(
    "terms",
    [{"quantity": "10"}, {"quantity": 1.5}, {"side": "hold"}, {"limit_price": "1,1"}, {"limit_price": 1.1}],
)
def test_a_submit_with_a_wrong_type_changes_nothing(visitor: ExchangeClient, terms: Message) -> None:
    answer = visitor.submit("o1", **{"type": "limit", "limit_price": "1.08", **terms})
    assert answer["error"] == "bad_request"
    assert visitor.query("o1") == {"outcome": "not_found"}


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_a_frame_that_is_too_large_ends_the_connection(visitor: ExchangeClient, ending: bytes) -> None:
    visitor.send_bytes(b"x" * MAX_FRAME_BYTES + ending)
    assert visitor.receive()["error"] == "too_large"
    with pytest.raises(EOFError):
        visitor.receive()


def test_the_largest_frame_is_read(visitor: ExchangeClient) -> None:
    frame = b'{"op":"ping","id":1}'
    visitor.send_bytes(frame.ljust(MAX_FRAME_BYTES - 1) + b"\n")
    assert visitor.receive()["outcome"] == "pong"


def test_reports_resume_from_any_seq_without_a_gap_or_a_repeat(exchange: ExchangeProcess) -> None:
    with exchange.client() as client:
        pairs = [
            submission(f"{side}{number}", side=side, limit_price="1.08")
            for number in range(300)
            for side in ("buy", "sell")
        ]
        client.call_many(pairs)
        total = client.call("health")["last_seq"]
        assert total == 1_200
    for after in (0, 1, 599, 1_199, 1_200):
        with exchange.client() as reader, exchange.client() as client:
            assert reader.reports(after)["last_seq"] >= total
            client.submit(f"after {after}".replace(" ", "-"))
            total += 1
            seqs = [report["seq"] for report in reader.take_reports(total - after)]
            assert seqs == list(range(after + 1, total + 1))


def test_reports_after_the_end_or_of_another_journal_are_refused(client: ExchangeClient) -> None:
    client.submit("o1")
    refused = client.reports(2)
    assert (refused["error"], refused["last_seq"]) == ("after_beyond_end", 1)
    assert client.reports(0, journal="another")["error"] == "other_journal"
    journal = client.call("health")["journal"]
    assert client.reports(0, journal=journal)["journal"] == journal
    client.take_reports(1)
    client.send(op="reports", after=0)
    assert client.receive()["error"] == "already_streaming"


def test_an_idle_stream_has_heartbeats(client: ExchangeClient) -> None:
    client.submit("o1")
    client.reports(1)
    beat = next(client.stream())
    assert (beat["kind"], beat["seq"]) == ("heartbeat", 1)


def test_a_reader_that_stood_still_gets_everything_when_it_goes_on(tmp_path: Path) -> None:
    orders = 8_000  # twice as many reports, some 4 MB: many times what sockets and buffers hold
    with ExchangeProcess(tmp_path / "venue") as exchange, exchange.client() as slow, exchange.client() as client:
        slow.reports()
        for begin in range(0, orders, 500):
            places = range(begin, begin + 500)
            sides = ((place, "buy" if place % 2 else "sell") for place in places)
            client.call_many([submission(f"o{place}", side=side, limit_price="1.08") for place, side in sides])
        total = client.call("health")["last_seq"]
        assert total == orders * 2
        assert [report["seq"] for report in slow.take_reports(total)] == list(range(1, total + 1))


def test_a_client_that_reads_no_answers_does_not_hold_up_others(exchange: ExchangeProcess) -> None:
    with exchange.client() as rude, exchange.client() as client:
        rude.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):  # the exchange reads no further
            rude.send_bytes(b'{"op":"health","id":1}\n' * 100_000)
        assert client.submit("o1")["outcome"] == "accepted"


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_a_second_with_open_connections(tmp_path: Path, number: signal.Signals) -> None:
    with ExchangeProcess(tmp_path / "venue") as exchange:
        with exchange.client() as reader, exchange.client() as client:
            reader.reports()
            client.submit("o1")
            began = time.monotonic()
            assert exchange.stop(number) == 0
            assert time.monotonic() - began < 1.0
            with pytest.raises(EOFError):
                client.receive()
        assert not Path(exchange.address).exists()
        assert "Traceback" not in exchange.stderr()
        exchange.start()
        with exchange.client() as client:
            assert client.query("o1")["outcome"] == "found"


def test_what_was_carried_out_before_it_stops_is_still_answered(exchange: ExchangeProcess) -> None:
    with exchange.client() as client:
        keys = {client.send(op="health") for _ in range(1_000)}  # more answers than a socket's buffer holds
        first = client.receive()
        os.kill(exchange.pid, signal.SIGTERM)
        assert {first["id"]} | {client.receive()["id"] for _ in range(999)} == keys
        with pytest.raises(EOFError):
            client.receive()


def start_in_vain(*arguments: str) -> tuple[int, str]:
    """The exit code and what it said, which must be one line."""
    ended = subprocess.run(
        [sys.executable, "-m", "simulated_exchange", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    [line] = ended.stderr.splitlines()
    return ended.returncode, line


def test_a_folder_has_one_exchange(exchange: ExchangeProcess) -> None:
    code, line = start_in_vain("--data-dir", str(exchange.folder), "--address", "127.0.0.1:0")
    assert code == 1
    assert line == (
        f"error: another exchange (pid {exchange.pid}) has the data folder {exchange.folder}: "
        "stop it, or choose another folder"
    )


def test_an_address_where_someone_listens_is_not_taken_over(exchange: ExchangeProcess, tmp_path: Path) -> None:
    code, line = start_in_vain("--data-dir", str(tmp_path / "other"), "--address", exchange.address)
    assert (code, "is in use" in line) == (1, True)
    with exchange.client() as client:
        assert client.call("ping")["outcome"] == "pong"


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, line = start_in_vain("--data-dir", str(tmp_path / "venue"), "--address", address)
    assert (code, line) == (
        1,
        f"error: EXCHANGE_ADDRESS {address} is in use: stop what listens there, or set another",
    )


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("do not remove")
    code, line = start_in_vain("--data-dir", str(tmp_path / "venue"), "--address", str(precious))
    assert (code, "is no socket" in line) == (1, True)
    assert precious.read_text() == "do not remove"


def test_a_wrong_setting_is_one_clear_line(tmp_path: Path) -> None:
    code, line = start_in_vain("--data-dir", str(tmp_path / "venue"), "--fill-delay", "soon")
    assert (code, line.startswith("error: EXCHANGE_FILL_DELAY 'soon'")) == (2, True)


def test_a_socket_that_a_killed_exchange_left_is_replaced(exchange: ExchangeProcess) -> None:
    exchange.kill()
    assert Path(exchange.address).is_socket()
    exchange.start()
    with exchange.client() as client:
        assert client.call("ping")["outcome"] == "pong"


def test_the_socket_is_its_owners_alone(exchange: ExchangeProcess) -> None:
    assert Path(exchange.address).stat().st_mode & 0o777 == 0o600
    assert exchange.folder.stat().st_mode & 0o777 == 0o700


def test_an_injected_error_changes_nothing(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--error-rate", "1") as exchange, exchange.client() as client:
        assert client.submit("o1")["error"] == "unavailable"
        assert client.query("o1") == {"outcome": "not_found"}


def test_a_drop_carries_the_order_out_and_cuts_the_connection(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--drop-rate", "1") as exchange:
        with exchange.client() as client, pytest.raises((EOFError, ConnectionError)):
            client.submit("o1")
        with exchange.client() as client:
            assert client.query("o1")["state"] == "working"


def test_a_hang_never_answers_and_holds_up_nothing_else(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--hang-rate", "1") as exchange, exchange.client() as client:
        client.send(**submission("o1"))
        assert client.query("o1") == {"outcome": "not_found"}
        assert exchange.stop() == 0


def test_a_late_request_arrives_though_its_client_is_gone(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--latency", "0.2") as exchange:
        with exchange.client() as client:
            client.send(**submission("o1"))
            assert client.query("o1") == {"outcome": "not_found"}
        with exchange.client() as client:
            wait_until(lambda: client.query("o1")["outcome"] == "found", what="the late order")
