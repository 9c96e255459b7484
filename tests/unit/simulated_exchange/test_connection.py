"""Neither a client that does not read nor one that asks without end makes the exchange's memory grow."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from simulated_exchange import connection as connection_module
from simulated_exchange.bounds import MAX_IN_FLIGHT
from simulated_exchange.connection import Connection
from simulated_exchange.entries import encode_header
from simulated_exchange.faults import FaultPlan, Faults
from simulated_exchange.frames import unreadable
from simulated_exchange.group_commit import GroupCommit
from simulated_exchange.journal import open_journal
from simulated_exchange.protocol import OPERATIONS, Pong, Streaming
from simulated_exchange.report_log import ReportLog, ReportReader
from tests.support.exchange_floor import JOURNAL_ID, Floor
from tests.support.waiting import wait_until_async


class FakeTransport:
    """Takes everything; says that its buffer is full when told to."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.reading = True
        self.closed = False

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def lines(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.written.splitlines()]


class FakeDesk:
    """Keeps what it is asked, and answers nothing by itself."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(encode_header(JOURNAL_ID))
        self.journal = open_journal(path, path.stat().st_size)
        self.reports = ReportLog()
        self.reports.opened(self.journal.fileno, self.journal.size)
        self.commit = GroupCommit(self.journal, self.reports)
        self.faults = Faults(FaultPlan(), 1)
        self.frames: list[bytes] = []

    def connected(self, connection: Connection) -> None:
        pass

    disconnected = connected

    def take(self, connection: Connection, frame: bytes) -> None:
        self.frames.append(frame)

    def now(self) -> int:
        return 0


def connect(desk: FakeDesk) -> tuple[Connection, FakeTransport]:
    connection, transport = Connection(desk), FakeTransport()
    connection.connection_made(cast(asyncio.Transport, transport))
    return connection, transport


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    made = FakeDesk(tmp_path / "journal")
    yield made
    made.journal.close()


@pytest.mark.anyio
async def test_a_connection_is_read_no_further_than_its_bound_of_requests_in_flight(desk: FakeDesk) -> None:
    connection, transport = connect(desk)
    connection.data_received(b"x\n" * (MAX_IN_FLIGHT + 500))
    assert len(desk.frames) == MAX_IN_FLIGHT
    assert not transport.reading
    for _ in range(10):
        connection.answer(1, Pong(0))

    async def ten_more() -> bool:
        return len(desk.frames) == MAX_IN_FLIGHT + 10

    await wait_until_async(ten_more)
    assert not transport.reading
    for _ in range(MAX_IN_FLIGHT):
        connection.answer(1, Pong(0))

    async def reads_again() -> bool:
        return transport.reading

    await wait_until_async(reads_again)
    assert len(desk.frames) == MAX_IN_FLIGHT + 500


@pytest.mark.anyio
async def test_a_client_that_does_not_read_its_answers_is_not_read_from(desk: FakeDesk) -> None:
    connection, transport = connect(desk)
    connection.pause_writing()
    assert not transport.reading
    connection.data_received(b"x\n")
    assert desk.frames == []
    connection.resume_writing()
    assert (desk.frames, transport.reading) == ([b"x"], True)


@pytest.mark.anyio
async def test_frames_may_come_in_any_pieces(desk: FakeDesk) -> None:
    connection, _ = connect(desk)
    for piece in (b"fir", b"st\nsec", b"ond", b"\n", b"third\nfourth\nfi"):
        connection.data_received(piece)
    assert desk.frames == [b"first", b"second", b"third", b"fourth"]


@pytest.mark.anyio
async def test_a_slow_reader_gets_no_more_reports_until_it_has_read(desk: FakeDesk) -> None:
    commit = asyncio.ensure_future(desk.commit.run())
    connection, transport = connect(desk)
    connection.data_received(b"x\n")
    connection.stream(1, Streaming(JOURNAL_ID, 0, 0), ReportReader(desk.reports, 0))
    connection.pause_writing()
    floor = Floor()
    for number in range(3):
        floor.sell(f"o{number}", 1, "1.08")
        desk.commit.add(floor.entries[-1])

    async def on_disk() -> bool:
        return desk.reports.last_seq == 3

    await wait_until_async(on_disk)
    for _ in range(10):
        await asyncio.sleep(0)
    assert [line["outcome"] for line in transport.lines()] == ["streaming"]
    connection.resume_writing()

    async def all_there() -> bool:
        return transport.lines()[-1].get("seq") == 3

    await wait_until_async(all_there)
    assert [line.get("seq") for line in transport.lines()[1:]] == [1, 2, 3]
    connection.connection_lost(None)
    desk.commit.stop()
    await commit


@pytest.mark.anyio
async def test_a_waiting_reader_gets_a_report_when_it_is_on_disk_and_not_with_the_next_heartbeat(
    desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "HEARTBEAT_S", 3_600.0)
    commit = asyncio.ensure_future(desk.commit.run())
    connection, transport = connect(desk)
    connection.data_received(b"x\n")
    connection.stream(1, Streaming(JOURNAL_ID, 0, 0), ReportReader(desk.reports, 0))
    floor = Floor()
    for number in range(1, 4):
        floor.sell(f"o{number}", 1, "1.08")
        desk.commit.add(floor.entries[-1])

        async def there(seq: int = number) -> bool:
            return transport.lines()[-1].get("seq") == seq

        await wait_until_async(there)
    connection.connection_lost(None)
    desk.commit.stop()
    await commit


@pytest.mark.anyio
async def test_nothing_is_answered_before_it_is_on_disk(desk: FakeDesk) -> None:
    floor = Floor()
    floor.sell("o1", 1, "1.08")
    told: list[int] = []
    desk.commit.add(floor.entries[0])
    desk.commit.when_durable(lambda: told.append(desk.journal.size))
    before = desk.journal.size
    assert told == []
    desk.commit.stop()
    await desk.commit.run()
    assert told == [desk.journal.size]
    assert desk.journal.size > before


@pytest.mark.parametrize(
    ("frame", "key"),
    [(b'{"id":1,"op":5}', 1), (b'{"op":"ping","id":1.5}', None), (b'{"id":"x"}', "x"), (b"{", None)],
)
def test_the_id_of_an_unreadable_request_is_found_where_it_can_be(frame: bytes, key: object) -> None:
    assert unreadable(frame, "problem", OPERATIONS)[0] == key
