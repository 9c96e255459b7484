"""Reports by seq: the recent ones from memory, older ones from the journal. Only what is on disk is shown."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right

import msgspec

from simulated_exchange.bounds import INDEX_EVERY_REPORTS, JOURNAL_READ_BYTES, RECENT_REPORTS, REPORTS_A_WRITE
from simulated_exchange.entries import ReportsOnly

_decoder = msgspec.json.Decoder(ReportsOnly)


class ReportLog:
    """Memory: the recent reports, and 16 bytes for every 256 others."""

    def __init__(self, recent: int = RECENT_REPORTS) -> None:
        self.last_seq = 0
        self._fileno = -1
        self._recent_bound = recent
        self._recent: list[bytes] = []  # ends at last_seq
        self._index_seq = array("q")  # the first report of a line ...
        self._index_offset = array("q")  # ... and where the line begins
        self._end = 0

    def replayed(self, offset: int, reports: int) -> None:
        """Takes in a line that was read at the start: so many reports after the last."""
        self._note(offset, self.last_seq + 1)
        self.last_seq += reports

    def opened(self, fileno: int, end: int) -> None:
        """The replay is over: the journal can be read here, and ends there."""
        self._fileno = fileno
        self._end = end

    def extend(self, lines: list[tuple[bytes, list[bytes]]]) -> None:
        """Takes in journal lines, with their reports' lines, which are on disk now."""
        for line, reports in lines:
            if reports:
                self._note(self._end, self.last_seq + 1)
                self.last_seq += len(reports)
                self._recent += reports
            self._end += len(line)
        if len(self._recent) > 2 * self._recent_bound:
            del self._recent[: -self._recent_bound]

    def _note(self, offset: int, first_seq: int) -> None:
        if not self._index_seq or first_seq - self._index_seq[-1] >= INDEX_EVERY_REPORTS:
            self._index_seq.append(first_seq)
            self._index_offset.append(offset)

    def recent_after(self, after: int) -> list[bytes] | None:
        """The next reports from memory; None where they are older than that."""
        start = after - (self.last_seq - len(self._recent))
        return None if start < 0 else self._recent[start : start + REPORTS_A_WRITE]

    def place_of(self, seq: int) -> tuple[int, int]:
        """The offset of a line at or before the one with this report, and the line's first report."""
        at = bisect_right(self._index_seq, seq) - 1
        return self._index_offset[at], self._index_seq[at]

    def lines_at(self, offset: int) -> bytes:
        """Whole lines from an offset on, at least one, of those that are on disk."""
        size = JOURNAL_READ_BYTES
        while True:
            data = os.pread(self._fileno, min(size, self._end - offset), offset)
            whole = data.rfind(b"\n") + 1
            if whole:
                return data[:whole]
            size *= 2  # a line longer than what was read: an order that met very many others


class ReportReader:
    """One reader's place in the log."""

    def __init__(self, log: ReportLog, after: int) -> None:
        self.after = after
        self._log = log
        self._offset: int | None = None  # of the line behind those read; None: look it up
        self._line_seq = 0  # the first report of that line

    def read(self) -> bytes:
        """The next reports as lines, bounded; empty when there are none yet."""
        recent = self._log.recent_after(self.after)
        if recent is not None:
            self._offset = None
            self.after += len(recent)
            return b"".join(recent)
        if self._offset is None:
            self._offset, self._line_seq = self._log.place_of(self.after + 1)
        wanted: list[bytes] = []
        while not wanted:  # the index leads to a line before the wanted one, by a bounded distance
            wanted, self._offset = self._read_journal(self._offset)
        wanted.append(b"")
        return b"\n".join(wanted)

    def _read_journal(self, offset: int) -> tuple[list[bytes], int]:
        """The reports after this reader's place in the lines from an offset on, and the offset behind those."""
        data = self._log.lines_at(offset)
        wanted: list[bytes] = []
        for line in data.splitlines():
            reports = _decoder.decode(line).reports
            skip = max(0, self.after + 1 - self._line_seq)
            wanted += [bytes(report) for report in reports[skip:]]
            self._line_seq += len(reports)
            self.after = max(self.after, self._line_seq - 1)
        return wanted, offset + len(data)
