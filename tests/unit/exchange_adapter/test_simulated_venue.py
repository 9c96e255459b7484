"""The simulated exchange's client against an exchange that does whatever the test says, line by line."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from exchange_adapter import simulated_reports
from exchange_adapter.errors import ReportsLost
from exchange_adapter.simulated_venue import SimulatedVenue
from exchange_adapter.venue import NotSent, Placed, Refused, ReportPosition, SubmitOutcome, Unknown, VenueOrder
from orders.domain.values import OrderType, Side, TimeInForce
from tests.support.waiting import wait_until

Message = dict[str, Any]

CALL_TIMEOUT_S = 10.0
UNREADABLE_LINES = [b'{"id":1,"outcome":7}', b'{"id":1,"outcome":"\xff"}', b'{"more":' + b"[" * 2_000]


class FakeExchange:
    """Listens; the test reads requests and writes what it likes."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "exchange.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.address)
        self._listener.listen()
        self._listener.settimeout(5)
        self._connection: socket.socket | None = None
        self._rest = b""

    def accept(self) -> None:
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(5)

    def request(self) -> Message:
        if self._connection is None:
            self.accept()
        assert self._connection is not None
        while b"\n" not in self._rest:
            self._rest += self._connection.recv(65536)
        line, self._rest = self._rest.split(b"\n", 1)
        message: Message = msgspec.json.decode(line)
        return message

    def answer(self, *messages: Message) -> None:
        self.send(*map(msgspec.json.encode, messages))

    def send(self, *lines: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(b"".join(line + b"\n" for line in lines))

    def is_left(self) -> bool:
        """Whether the other end is closed."""
        assert self._connection is not None
        return self._connection.recv(1) == b""

    def cut(self) -> None:
        assert self._connection is not None
        self._connection.close()
        self._connection, self._rest = None, b""

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._listener.close()


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[FakeExchange]:
    fake = FakeExchange(tmp_path)
    yield fake
    fake.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def order(order_id: UUID | None = None) -> VenueOrder:
    return VenueOrder(
        order_id=order_id or uuid4(),
        symbol="EURUSD",
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=10,
        limit_price=None,
        time_in_force=TimeInForce.GTC,
        created_at=datetime(2026, 11, 2, tzinfo=UTC),
    )


Submitting = Callable[[], Future[SubmitOutcome]]


@pytest.fixture
def venue(exchange: FakeExchange) -> Iterator[SimulatedVenue]:
    made = SimulatedVenue(exchange.address, call_timeout_s=CALL_TIMEOUT_S)
    yield made
    made.close()


@pytest.fixture
def submitting(venue: SimulatedVenue, threads: ThreadPoolExecutor) -> Submitting:
    return lambda: threads.submit(venue.submit, order())


def accepted(request: Message, number: str) -> Message:
    return {"id": request["id"], "outcome": "accepted", "venue_order_id": number, "seq": 1}


def test_answers_in_any_order_find_their_calls(exchange: FakeExchange, submitting: Submitting) -> None:
    first = submitting()
    one = exchange.request()
    second = submitting()
    two = exchange.request()
    exchange.answer(accepted(two, "V-2"), accepted(one, "V-1"))
    assert (first.result(5), second.result(5)) == (Placed("V-1"), Placed("V-2"))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"outcome": "accepted", "venue_order_id": "V"}, Placed("V")),
        ({"outcome": "rejected", "reason": "quantity is out of range"}, Refused("quantity is out of range")),
        ({"error": "unavailable", "message": "stopping"}, NotSent("unavailable: stopping")),
        ({"error": "bad_request", "message": "no such price"}, Refused("bad_request: no such price")),
        ({"error": "terms_differ", "first_outcome": "accepted", "venue_order_id": "V-3"}, Placed("V-3")),
        ({"error": "terms_differ", "message": "m", "first_outcome": "rejected"}, Refused("m")),
        ({"outcome": "something new"}, Unknown("the exchange answered 'something new'")),
    ],
)
def test_an_answer_is_an_outcome(
    exchange: FakeExchange, submitting: Submitting, answer: Message, outcome: SubmitOutcome
) -> None:
    call = submitting()
    exchange.answer({"id": exchange.request()["id"], **answer})
    assert call.result(5) == outcome


def test_what_was_written_and_not_answered_is_unknown(exchange: FakeExchange, submitting: Submitting) -> None:
    calls = [submitting(), submitting()]
    exchange.request()
    exchange.request()
    exchange.cut()
    assert all(isinstance(call.result(5), Unknown) for call in calls)


def test_what_could_not_be_written_was_not_sent(exchange: FakeExchange, venue: SimulatedVenue) -> None:
    exchange.close()
    assert isinstance(venue.submit(order()), NotSent)
    assert isinstance(venue.submit(order()), NotSent), "while it waits to connect again"


def test_a_call_after_a_cut_goes_out_on_a_new_connection(exchange: FakeExchange, submitting: Submitting) -> None:
    lost = submitting()
    exchange.request()
    exchange.cut()
    assert isinstance(lost.result(5), Unknown)
    call = submitting()
    exchange.answer(accepted(exchange.request(), "V-2"))
    assert call.result(5) == Placed("V-2")


def test_a_call_without_an_answer_is_unknown_after_its_timeout(exchange: FakeExchange) -> None:
    venue = SimulatedVenue(exchange.address, call_timeout_s=0.1)
    began = time.monotonic()
    assert isinstance(venue.submit(order()), Unknown)
    assert time.monotonic() - began < 1.0
    venue.close()


@pytest.mark.parametrize("line", UNREADABLE_LINES)
def test_what_is_no_answer_ends_the_connection(exchange: FakeExchange, submitting: Submitting, line: bytes) -> None:
    call = submitting()
    exchange.request()
    exchange.send(line)
    assert call.result(CALL_TIMEOUT_S / 2) == Unknown("the connection to the exchange was lost before the answer came")


def test_closing_ends_calls_under_way_as_unknown(
    exchange: FakeExchange, venue: SimulatedVenue, submitting: Submitting
) -> None:
    call = submitting()
    exchange.request()
    venue.close()
    assert isinstance(call.result(5), Unknown)
    assert isinstance(venue.submit(order()), NotSent)


def streaming(exchange: FakeExchange, venue: SimulatedVenue, threads: ThreadPoolExecutor, after: int = 0) -> Any:
    opening = threads.submit(venue.reports, ReportPosition("J", after))
    request = exchange.request()
    assert (request["after"], request["journal"]) == (after, "J")
    exchange.answer({"id": 1, "outcome": "streaming", "journal": "J", "after": after, "last_seq": 9})
    return opening.result(5)


@pytest.mark.parametrize("line", UNREADABLE_LINES)
def test_what_is_no_answer_opens_no_stream(
    exchange: FakeExchange, venue: SimulatedVenue, threads: ThreadPoolExecutor, line: bytes
) -> None:
    opening = threads.submit(venue.reports, ReportPosition("J", 0))
    exchange.request()
    exchange.send(line)
    with pytest.raises(ReportsLost, match="no answer"):
        opening.result(5)
    assert exchange.is_left()


def report(seq: int) -> Message:
    return {"kind": "accepted", "seq": seq, "at": 1, "order_id": "x", "venue_order_id": "V", "quantity": 1}


def test_reports_come_in_order_without_heartbeats(
    exchange: FakeExchange, venue: SimulatedVenue, threads: ThreadPoolExecutor
) -> None:
    stream = streaming(exchange, venue, threads, after=4)
    exchange.answer(report(5), {"kind": "heartbeat", "seq": 5, "at": 1}, report(6), report(7))
    read: list[int] = []
    while len(read) < 3:
        read += [each.seq for each in stream.next_batch(2, 1.0)]
    assert read == [5, 6, 7]
    assert stream.next_batch(2, 0.01) == []
    stream.close()


@pytest.mark.parametrize(
    "line",
    [{"kind": "dividend", "seq": 5, "order_id": "x"}, {"kind": "filled", "seq": 5, "price": "a lot"}, {}],
    ids=["an unknown kind", "no price", "no report"],
)
def test_what_is_no_report_ends_the_stream(
    exchange: FakeExchange, venue: SimulatedVenue, threads: ThreadPoolExecutor, line: Message
) -> None:
    with closing(streaming(exchange, venue, threads, after=4)) as stream:
        exchange.answer(line)
        with pytest.raises(ReportsLost):
            stream.next_batch(10, 1.0)


def test_reports_that_come_twice_or_too_early_are_brought_into_their_order(
    exchange: FakeExchange, venue: SimulatedVenue, threads: ThreadPoolExecutor
) -> None:
    with closing(streaming(exchange, venue, threads, after=4)) as stream:
        exchange.answer(*[report(seq) for seq in (4, 6, 7, 6)])
        assert stream.next_batch(10, 0.05) == []
        exchange.answer(*[report(seq) for seq in (5, 5, 9, 8)])
        read: list[int] = []
        while len(read) < 5:
            read += [each.seq for each in stream.next_batch(2, 1.0)]
        assert read == [5, 6, 7, 8, 9]


def test_a_report_that_stays_away_ends_the_stream(
    exchange: FakeExchange, venue: SimulatedVenue, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_reports, "REPORT_SILENCE_S", 0.1)
    with closing(streaming(exchange, venue, threads, after=4)) as stream:
        exchange.answer(report(6), report(7))

        def read_on() -> bool:
            exchange.answer({"kind": "heartbeat", "seq": 7, "at": 1})
            return bool(stream.next_batch(10, 0.02))

        with pytest.raises(ReportsLost, match="report 6 came after 4"):
            wait_until(read_on)


def test_reports_are_not_held_without_bound_while_one_is_missing(
    exchange: FakeExchange, venue: SimulatedVenue, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_reports, "MAX_EARLY_REPORTS", 3)
    with closing(streaming(exchange, venue, threads, after=4)) as stream:
        exchange.answer(*[report(seq) for seq in range(6, 12)])
        with pytest.raises(ReportsLost, match="report 6 came after 4"):
            wait_until(lambda: stream.next_batch(10, 0.02))


def test_a_silent_exchange_ends_the_stream(
    exchange: FakeExchange, venue: SimulatedVenue, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated_reports, "REPORT_SILENCE_S", 0.05)
    stream = streaming(exchange, venue, threads)
    with pytest.raises(ReportsLost, match="silent"):
        stream.next_batch(10, 0.2)
    stream.close()


def test_no_thread_is_left_when_the_connection_ends(
    exchange: FakeExchange, venue: SimulatedVenue, submitting: Submitting
) -> None:
    call = submitting()
    exchange.request()
    readers = [thread for thread in threading.enumerate() if thread.name == "exchange-answers"]
    exchange.cut()
    call.result(5)
    for reader in readers:
        reader.join(5)
        assert not reader.is_alive()
