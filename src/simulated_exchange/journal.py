"""The journal: an append-only file of JSON lines. `python -m simulated_exchange.journal FILE` checks and counts one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from simulated_exchange.bounds import JOURNAL_READ_BYTES
from simulated_exchange.entries import FORMAT, Entry, Header, encode_header
from simulated_exchange.errors import JournalDamaged, JournalUnwritable
from simulated_exchange.frames import UNREADABLE

FILE_NAME = "exchange.journal"

_header_decoder = msgspec.json.Decoder(Header)
_entry_decoder = msgspec.json.Decoder(Entry)


class Journal:
    """Open for appending. `size` counts the bytes that are on disk for certain."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size

    @property
    def fileno(self) -> int:
        return self._file.fileno()

    def append(self, lines: list[bytes]) -> None:
        """Returns when the lines are on disk. After an error nothing is known of them: the process must end."""
        data = b"".join(lines)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file.fileno(), memoryview(data)[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            raise JournalUnwritable(f"the journal cannot be written: {error.strerror}") from error
        self.size += len(data)

    def close(self) -> None:
        self._file.close()


class JournalReader:
    """Iterates over a journal's entries, each with the offset of its line.

    A crash leaves at most a tail that was never answered: lines that are cut off or unreadable with nothing readable
    after them. It is left out, and counted in `torn_bytes`. Anything else is damage, and JournalDamaged says where.
    """

    def __init__(self, path: Path) -> None:
        self.header: Header | None = None
        self.size = 0  # of the whole lines read so far
        self.torn_bytes = 0
        self._path = path

    def __iter__(self) -> Iterator[tuple[int, Entry]]:
        entries = seq = 0
        broken = ""
        with self._path.open("rb", buffering=JOURNAL_READ_BYTES) as file:
            for number, line in enumerate(file, start=1):
                where = f"{self._path}: line {number}"
                entry: Entry | None = None
                try:
                    if not line.endswith(b"\n"):
                        raise msgspec.DecodeError("it is cut off")
                    if number == 1:
                        self.header = _decode_header(line, self._path)
                    else:
                        entry = _entry_decoder.decode(line)
                except UNREADABLE as error:
                    broken = broken or f"{where} is damaged ({error})"
                    self.torn_bytes += len(line)
                    continue
                if broken:
                    raise JournalDamaged(f"{broken}, and more follows it")
                if entry is not None:
                    _check_numbers(entry, entries, seq, where)
                    entries, seq = entry.n, seq + len(entry.reports)
                    yield self.size, entry
                self.size += len(line)


def _decode_header(line: bytes, path: Path) -> Header:
    header = _header_decoder.decode(line)
    if header.format != FORMAT:
        raise JournalDamaged(f"{path}: journal format {header.format}, this program reads {FORMAT}")
    return header


def _check_numbers(entry: Entry, entries: int, seq: int, where: str) -> None:
    """JournalDamaged where an entry or a report is missing before this one."""
    if entry.n != entries + 1:
        raise JournalDamaged(f"{where}: entry {entry.n} follows entry {entries}")
    for report in entry.reports:
        seq += 1
        if report.seq != seq:
            raise JournalDamaged(f"{where}: report {report.seq} where {seq} belongs")


def prepare_journal(path: Path, new_id: str) -> Header:
    """The journal's header; makes the journal under the new id where there is none yet."""
    try:
        header = _first_line(path)
        if header is None:
            _create(path, new_id)
            header = Header(FORMAT, new_id)
    except OSError as error:
        raise JournalUnwritable(f"{path} cannot be opened: {error.strerror}") from error
    return header


def open_journal(path: Path, size: int) -> Journal:
    """Opens a journal for appending after so many bytes; a torn tail is dropped."""
    try:
        file = path.open("r+b", buffering=0)
        try:
            file.truncate(size)
            file.seek(0, os.SEEK_END)
            os.fsync(file.fileno())
        except OSError:
            file.close()
            raise
    except OSError as error:
        raise JournalUnwritable(f"{path} cannot be opened: {error.strerror}") from error
    return Journal(file, size)


def _first_line(path: Path) -> Header | None:
    """The header; None where there is no journal, or one whose creation a crash cut off."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        line = file.readline()
        more = file.read(1)
    try:
        if line.endswith(b"\n"):
            return _decode_header(line, path)
        error: Exception = msgspec.DecodeError("it is cut off")
    except UNREADABLE as damage:
        error = damage
    if more:
        raise JournalDamaged(f"{path}: line 1 is damaged ({error}), and more follows it")
    return None


def _create(path: Path, journal: str) -> None:
    with path.open("wb") as file:
        file.write(encode_header(journal))
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_journal(path: Path) -> Iterator[Entry]:
    """The entries of a journal, also of one that is being written; a line that is cut off at the end is left out."""
    return (entry for _, entry in JournalReader(path))


if __name__ == "__main__":
    from simulated_exchange.audit import cli

    cli()
