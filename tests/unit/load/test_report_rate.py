"""What `make bench-reports` says of its pieces."""

from pathlib import Path

import pytest

from load import report_rate
from load.report_journal import Shape, orders_at_the_venue, write_journal
from load.report_rate import Memory, Plan
from orders.eventstore.memory import MemoryEventStore
from simulated_exchange.audit import audit
from simulated_exchange.journal import FILE_NAME, read_journal

MEMORY = [Memory(events, 50_000_000 + max(0, events - 2_000) * 100) for events in range(0, 9_001, 500)]


def test_memory_is_shown_at_a_tenth_at_half_and_at_the_end_with_its_growth_after_the_first_fifth() -> None:
    shown = report_rate.memory_words(MEMORY, Plan(reports=10_000))
    assert "10 % 50.0, half 50.2, end 50.7; growth per 100,000 after the first fifth: +10.00 MB" in shown
    assert report_rate.growth_bytes(MEMORY[:1]) is None
    assert report_rate.growth_bytes([Memory(5, 1), Memory(5, 9)]) is None


def test_a_plan_has_so_many_reports_spread_or_of_a_few_orders() -> None:
    assert Plan(reports=1_000_000).shape == Shape(orders=100_000, fills=9, abreast=1_000)
    skewed = Plan(reports=100_000, skewed=True).shape
    assert (skewed.orders, skewed.fills, skewed.recorded) == (20, 4_999, 99_980)


def test_the_journal_is_one_that_the_exchange_could_have_written(tmp_path: Path) -> None:
    shape = Shape(orders=20, fills=3, abreast=8)
    store = MemoryEventStore()
    write_journal(tmp_path / "exchange", orders_at_the_venue(store, shape), shape)
    found = audit(read_journal(tmp_path / "exchange" / FILE_NAME))
    assert (found.findings, found.states()) == ([], {"executed": 20})
    assert store.head() == 3 * shape.orders


def test_a_wrong_plan_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        report_rate.main(["--reports", "10"])
    assert ended.value.code == 2
    assert "--reports" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--reports", "1000"], ["--reports", "20000", "--pieces", "10"]])
def test_pieces_that_a_commit_or_two_would_fill_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        report_rate.main(arguments)
    assert (ended.value.code, "a piece needs 3,000 reports" in capsys.readouterr().err) == (2, True)
