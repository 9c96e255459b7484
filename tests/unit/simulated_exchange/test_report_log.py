"""Every reader gets every report once and in order, from memory and from the journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulated_exchange import report_log
from simulated_exchange.entries import encode_entry, encode_header
from simulated_exchange.journal import Journal, JournalReader, open_journal
from simulated_exchange.report_log import ReportLog, ReportReader
from tests.support.exchange_floor import JOURNAL_ID, Floor

Encoded = list[tuple[bytes, list[bytes]]]


def traded(orders: int) -> Encoded:
    """So many orders; every seventh sweeps the book, so that entries have between one and fifteen reports."""
    floor = Floor()
    for number in range(orders):
        if number % 7 == 6:
            floor.buy(f"o{number}", 12, "1.08")
        else:
            floor.sell(f"o{number}", 2, "1.08")
    return [encode_entry(entry) for entry in floor.entries]


LINES = traded(400)
WIRE = [report for _, reports in LINES for report in reports]


class Rig:
    """A journal and its log; `write` does what a commit does."""

    def __init__(self, path: Path, recent: int) -> None:
        path.write_bytes(encode_header(JOURNAL_ID))
        self.journal: Journal = open_journal(path, path.stat().st_size)
        self.log = ReportLog(recent)
        self.log.opened(self.journal.fileno, self.journal.size)

    def write(self, lines: Encoded) -> None:
        self.journal.append([line for line, _ in lines])
        self.log.extend(lines)


def read_all(reader: ReportReader) -> list[bytes]:
    got: list[bytes] = []
    while data := reader.read():
        assert data.endswith(b"\n")
        got += data.splitlines(keepends=True)
    return got


@contextmanager
def coarse_bounds() -> Iterator[None]:
    """Bounds so small that every reader meets them often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_log, "INDEX_EVERY_REPORTS", 5)
        patch.setattr(report_log, "JOURNAL_READ_BYTES", 3_000)
        patch.setattr(report_log, "REPORTS_A_WRITE", 7)
        yield


@given(st.data())
@settings(max_examples=50)
def test_readers_miss_and_repeat_nothing_however_they_fall_behind(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with coarse_bounds():
        fall_behind(tmp_path_factory.getbasetemp() / "read.journal", data)


def fall_behind(path: Path, data: st.DataObject) -> None:
    rig = Rig(path, recent=data.draw(st.integers(1, 60)))
    try:
        readers: list[tuple[ReportReader, int, list[bytes]]] = []
        left = list(LINES[: data.draw(st.integers(1, 200))])
        total = sum(len(reports) for _, reports in left)
        while left:
            count = data.draw(st.integers(1, 40))
            rig.write(left[:count])
            del left[:count]
            after = data.draw(st.integers(0, rig.log.last_seq))
            readers.append((ReportReader(rig.log, after), after, []))
            for reader, _, got in readers:
                for _ in range(data.draw(st.integers(0, 3))):
                    lines = reader.read()
                    assert lines or reader.after == rig.log.last_seq
                    got += lines.splitlines(keepends=True)
        for reader, after, got in readers:
            assert got + read_all(reader) == WIRE[after:total]
            assert reader.after == total
    finally:
        rig.journal.close()


@pytest.mark.parametrize("after", [0, 1, 255, 256, 257, 300, len(WIRE) - 1, len(WIRE)])
def test_after_a_restart_reports_come_from_the_journal(tmp_path: Path, after: int) -> None:
    path = tmp_path / "journal"
    path.write_bytes(encode_header(JOURNAL_ID) + b"".join(line for line, _ in LINES))
    log = ReportLog()
    reader = JournalReader(path)
    for offset, entry in reader:
        log.replayed(offset, len(entry.reports))
    journal = open_journal(path, reader.size)
    log.opened(journal.fileno, journal.size)
    try:
        assert log.last_seq == len(WIRE)
        assert read_all(ReportReader(log, after)) == WIRE[after:]
    finally:
        journal.close()


def test_a_line_longer_than_what_is_read_at_once_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_log, "JOURNAL_READ_BYTES", 64)
    rig = Rig(tmp_path / "journal", recent=1)
    try:
        rig.write(LINES)
        assert read_all(ReportReader(rig.log, 0)) == WIRE
    finally:
        rig.journal.close()


def test_memory_holds_no_more_than_the_recent_reports(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "journal", recent=50)
    try:
        for line in LINES:
            rig.write([line])
            assert len(rig.log._recent) <= 2 * 50
        assert len(rig.log._index_seq) <= len(WIRE) // report_log.INDEX_EVERY_REPORTS + 1
    finally:
        rig.journal.close()


def test_one_read_is_bounded(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "journal", recent=10_000)
    try:
        rig.write(LINES)
        lines = ReportReader(rig.log, 0).read().splitlines()
        assert len(lines) == report_log.REPORTS_A_WRITE
        assert msgspec.json.decode(lines[-1])["seq"] == report_log.REPORTS_A_WRITE
    finally:
        rig.journal.close()
