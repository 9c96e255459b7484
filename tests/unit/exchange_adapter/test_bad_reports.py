"""Reports that no one could foresee: none stops the reading, and none is lost. In virtual time."""

from __future__ import annotations

from threading import Event
from unittest.mock import Mock
from uuid import UUID

import msgspec
import pytest

from exchange_adapter.venue import Report, ReportKind, ReportPosition, ReportStream
from orders.domain.values import Phase
from orders.eventstore.port import Recorded, UnknownEvent
from tests.support.adapter_floor import Floor, on_floor
from tests.support.report_reading import SOURCE, Reading, follow

K = ReportKind


def test_what_a_venues_client_raises_ends_the_stream_only() -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place()
        failures: list[Exception] = [ConnectionResetError("reset"), KeyError("35"), OSError("no route")]
        opened = floor.venue.reports

        def reports(after: ReportPosition) -> ReportStream:
            if len(failures) == 1:
                raise failures.pop()
            stream = opened(after)
            if failures:
                stream.next_batch = Mock(side_effect=failures.pop(0))  # type: ignore[method-assign]
                stream.close = Mock(side_effect=OSError("closed already"))  # type: ignore[method-assign]
            return stream

        floor.venue.reports = reports  # type: ignore[method-assign]
        reading.journal.fill(order_id)
        await follow(reading, 10.0)
        assert floor.order(order_id).filled == 10
        assert reading.positions.position.seq == 1
        assert not failures

    on_floor(test)


def test_a_client_that_hangs_while_it_closes_a_stream_keeps_no_report_waiting() -> None:
    let_go, closed = Event(), list[bool]()

    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place()
        opened, failures = floor.venue.reports, [ConnectionResetError("reset")]

        def reports(after: ReportPosition) -> ReportStream:
            stream = opened(after)
            if failures:
                stream.next_batch = Mock(side_effect=failures.pop())  # type: ignore[method-assign]
                stream.close = lambda: closed.append(let_go.wait(5))  # type: ignore[method-assign]
            return stream

        floor.venue.reports = reports  # type: ignore[method-assign]
        reading.journal.fill(order_id)
        await follow(reading, 10.0)
        assert floor.order(order_id).filled == 10
        assert not closed, "it waited for the close"

    try:
        on_floor(test)
    finally:
        let_go.set()


# The log's readers have as much room for nesting as their own stacks leave them: less than who wrote it, maybe.
DEEP = b'{"x":' + b"[" * 700 + b"]" * 700 + b"}"


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'["8", "FILL"]', {"text": '["8", "FILL"]'}),
        (b"8=FIX.4.4\x0135=8\x01\xff", {"text": "8=FIX.4.4\x0135=8\x01\\xff"}),
        (b"[" * 5_000, {"text": "[" * 5_000}),
        (DEEP, {"text": DEEP.decode()}),
        (b"", {}),
    ],
)
def test_an_unmatched_report_may_be_of_any_format(raw: bytes, kept: dict[str, str]) -> None:
    async def test(floor: Floor) -> None:
        reading = Reading(floor)
        reading.journal.reports = [Report(seq=1, kind=K.ACCEPTED, order_ref="theirs", raw=raw)]
        await reading.record()
        assert [event.report for event in reading.unmatched()] == [kept]

    on_floor(test)


def test_unmatched_reports_of_any_size_are_kept() -> None:
    async def test(floor: Floor) -> None:
        reading = Reading(floor)
        raw = msgspec.json.encode({"text": "x" * 3_000})
        reports = [Report(seq=seq, kind=K.ACCEPTED, order_ref="theirs", raw=raw) for seq in range(1, 251)]
        huge = msgspec.json.encode({"text": "x" * 2_000_000})
        reports.append(Report(seq=251, kind=K.CANCELED, order_ref=str(UUID(int=7)), raw=huge))
        reports.append(Report(seq=252, kind=K.CANCELED, order_ref="y" * 2_000_000, reason="z" * 2_000_000))
        reading.journal.reports = reports
        await reading.record()
        *whole, long, longer = reading.unmatched()
        assert [event.report for event in whole] == [msgspec.json.decode(raw)] * 250
        assert long.report["text"].startswith('{"text":"xxx')
        assert long.read == {"seq": 251, "kind": "canceled", "order_ref": str(UUID(int=7))}
        assert (longer.order_ref[:3], longer.read) == ("yyy", None)

    on_floor(test)


@pytest.mark.parametrize("kind", [K.CANCELED, K.EXPIRED, K.REJECTED])
def test_a_reason_of_any_length_and_letters_is_recorded(kind: ReportKind) -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id,) = Reading(floor), floor.client.place()
        reading.journal.tell(kind, order_id, reason="too \ud800 late " * 100_000)
        reading.journal.fill("\ud800")
        await reading.record()
        assert floor.order(order_id).phase is not Phase.OPEN
        assert [event.order_ref for event in reading.unmatched()] == ["\\ud800"]

    on_floor(test)


def test_a_report_too_large_to_record_keeps_no_other_out() -> None:
    async def test(floor: Floor) -> None:
        reading, (order_id, other) = Reading(floor), floor.client.place(2, quantity=100)
        reading.journal.fill(order_id)
        reading.journal.fill(order_id, exec_id="E" * 2_000_000)
        reading.journal.fill(order_id)
        reading.journal.fill(other)
        await reading.record()
        assert (floor.order(order_id).filled, floor.order(other).filled) == (20, 10)
        assert [event.report_key for event in reading.unmatched()] == [f"{SOURCE}/2"]

    on_floor(test)


def test_an_order_that_cannot_be_read_keeps_no_other_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(floor: Floor) -> None:
        reading, (spoilt, other) = Reading(floor), floor.client.place(2)
        read_stream = floor.store.read_stream

        def read(stream_id: UUID, **bounds: int) -> list[Recorded]:
            if stream_id == spoilt:
                raise UnknownEvent("OrderPlaced.v9")
            return read_stream(stream_id, **bounds)

        monkeypatch.setattr(floor.store, "read_stream", read)
        reading.journal.fill(spoilt)
        reading.journal.fill(other)
        await reading.record()
        assert floor.order(other).filled == 10
        assert [event.report_key for event in reading.unmatched()] == [f"{SOURCE}/1"]

    on_floor(test)
