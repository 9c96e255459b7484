"""The exchange's wire, as docs/reference/simulated-exchange.md describes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulated_exchange.bounds import MAX_FRAME_BYTES
from tests.support.exchange_client import ExchangeClient, Message, submission
from tests.support.exchange_process import ExchangeProcess


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
