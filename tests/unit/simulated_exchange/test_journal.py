"""What a crash may leave, and what is damage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulated_exchange.audit import cli
from simulated_exchange.entries import Entry, encode_entry, encode_header
from simulated_exchange.errors import JournalDamaged, JournalUnwritable
from simulated_exchange.journal import FILE_NAME, Journal, JournalReader, open_journal, prepare_journal, read_journal
from tests.support.exchange_floor import JOURNAL_ID, SECOND, Floor

DEEP = b'{"more":' + b"[" * 100_000 + b"\n"


def some_entries() -> list[Entry]:
    floor = Floor()
    floor.sell("ask", 4, "1.08")
    floor.buy("market", 10)
    floor.replace("ask", "r", quantity=3)
    floor.wait(10 * SECOND)
    return floor.entries


def written(entries: list[Entry]) -> bytes:
    return encode_header(JOURNAL_ID) + b"".join(encode_entry(entry)[0] for entry in entries)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


def test_entries_are_read_as_they_were_written(path: Path) -> None:
    path.write_bytes(written(some_entries()))
    assert list(read_journal(path)) == some_entries()


def test_an_empty_folder_gets_a_journal_that_keeps_its_id(path: Path) -> None:
    assert prepare_journal(path, "first").journal == "first"
    assert prepare_journal(path, "second").journal == "first"
    assert list(read_journal(path)) == []


@given(st.data())
def test_a_journal_cut_off_anywhere_gives_the_entries_that_are_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.journal"
    whole = written(some_entries())
    cut = data.draw(st.integers(len(encode_header(JOURNAL_ID)), len(whole)))
    path.write_bytes(whole[:cut])
    lines = whole[:cut].count(b"\n") - 1
    assert list(read_journal(path)) == some_entries()[:lines]


def test_a_torn_last_line_is_cut_away_and_writing_goes_on_after_it(path: Path) -> None:
    entries = some_entries()
    lines = [encode_entry(entry)[0] for entry in entries]
    path.write_bytes(written(entries[:2]) + lines[2][:-10])
    reader = JournalReader(path)
    assert [entry for _, entry in reader] == entries[:2]
    assert reader.torn_bytes == len(lines[2]) - 10
    journal = open_journal(path, reader.size)
    journal.append(lines[2:])
    journal.close()
    assert path.read_bytes() == written(entries)


@pytest.mark.parametrize("tail", [b"\0" * 5_000, b"\0" * 100 + b"\n", b'{"n":3\n{"n":4\n', b"\xff\xfe\n", DEEP])
def test_a_tail_of_rubbish_as_a_power_cut_leaves_it_is_dropped(path: Path, tail: bytes) -> None:
    path.write_bytes(written(some_entries()[:2]) + tail)
    reader = JournalReader(path)
    assert [entry for _, entry in reader] == some_entries()[:2]
    assert reader.torn_bytes == len(tail)


def test_a_creation_that_was_cut_off_is_done_again(path: Path) -> None:
    path.write_bytes(encode_header(JOURNAL_ID)[:-5])
    assert prepare_journal(path, "new").journal == "new"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_damaged_line_before_the_end_is_named(path: Path, number: int) -> None:
    lines = written(some_entries()).splitlines(keepends=True)
    lines[number - 1] = b"x" + lines[number - 1][1:]
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalDamaged, match=f"{FILE_NAME}: line {number} is damaged"):
        list(read_journal(path))


def test_a_missing_line_is_named(path: Path) -> None:
    entries = some_entries()
    path.write_bytes(written([entries[0], *entries[2:]]))
    with pytest.raises(JournalDamaged, match="line 3: entry 3 follows entry 1"):
        list(read_journal(path))


@pytest.mark.parametrize("damage", [b"x", b'{"\xff":1,'])
def test_a_damaged_first_line_is_no_reason_to_begin_anew(path: Path, damage: bytes) -> None:
    content = damage + written(some_entries())
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match="line 1 is damaged"):
        prepare_journal(path, "new")
    assert path.read_bytes() == content


def test_a_journal_of_another_format_is_refused(path: Path) -> None:
    path.write_bytes(b'{"format":2,"journal":"x"}\n')
    with pytest.raises(JournalDamaged, match="journal format 2, this program reads 1"):
        prepare_journal(path, "new")


def test_a_disk_that_fails_is_one_clear_line() -> None:
    failing = pytest.raises(JournalUnwritable, match="No space left on device")
    with Path("/dev/full").open("r+b", buffering=0) as full, failing:
        Journal(full, 0).append([b"line\n"])


def test_a_line_is_on_disk_when_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_journal(path, JOURNAL_ID)
    journal = open_journal(path, path.stat().st_size)
    sizes_at_fsync: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _: sizes_at_fsync.append(path.stat().st_size))
    try:
        journal.append([b"one\n", b"two\n"])
        assert sizes_at_fsync == [path.stat().st_size] == [journal.size]
    finally:
        journal.close()


def test_a_folder_that_is_not_ours_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(JournalUnwritable, match="cannot be opened: Is a directory"):
        open_journal(tmp_path, 0)
    with pytest.raises(JournalUnwritable, match="cannot be opened: Invalid argument"):
        open_journal(Path("/dev/full"), 0)


def run_command(monkeypatch: pytest.MonkeyPatch, path: Path) -> int:
    monkeypatch.setattr("sys.argv", ["journal", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli()
    return int(ended.value.code or 0)


def test_the_command_counts_what_is_in_a_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_bytes(written(some_entries()))
    assert run_command(monkeypatch, path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "4 entries, 6 reports, 2 orders",
        "orders: 2 executed",
        "reports: 2 accepted, 3 filled, 1 replace_rejected",
    ]


def test_the_command_fails_where_an_order_was_placed_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = written(some_entries()).decode()
    path.write_text(text.replace('"order_id":"market"', '"order_id":"ask"'))
    assert run_command(monkeypatch, path) == 1
    assert "order ask is placed a second time" in capsys.readouterr().err
