"""The exchange's journal, read while it is being written."""

from __future__ import annotations

from pathlib import Path

from load.resting_orders import CANCEL
from load.venue_journal import VenueJournal
from simulated_exchange.control_client import ask
from tests.support.exchange_process import ExchangeProcess


def test_it_tells_when_each_order_was_placed_and_its_story(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue") as exchange:
        journal = VenueJournal(exchange.folder / "exchange.journal")
        with exchange.client() as client:
            client.submit("o1", limit_price="1.08")
            journal.read()
            assert journal.missing(["o1", "o2"]) == {"o2"}
            client.call("replace", order_id="o1", request_id="r1", base="o1", quantity=12)
            client.submit("o2", limit_price="1.08")
            client.call("cancel", order_id="o1", request_id="r2", base="r1")
        ask(exchange.folder, "faults", restart=True)
        journal.read()
        assert journal.stories == {"o1": [10, 12, CANCEL], "o2": [10]}
        assert journal.missing(["o1", "o2"]) == set()


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue") as exchange:
        with exchange.client() as client:
            client.submit("o1", limit_price="1.08")
        written = (exchange.folder / "exchange.journal").read_bytes()
    path = tmp_path / "growing"
    path.write_bytes(written[:-20])
    journal = VenueJournal(path)
    journal.read()
    assert journal.placed_at == {}
    path.write_bytes(written)
    journal.read()
    assert list(journal.placed_at) == ["o1"]


def test_the_pace_counts_all_that_was_placed_from_the_backlogs_first_to_its_last(tmp_path: Path) -> None:
    journal = VenueJournal(tmp_path / "none")
    journal.placed_at = {"before": 1.0, "old 1": 10.0, "new": 11.0, "old 2": 12.0, "after": 20.0}
    pace = journal.pace(["old 1", "old 2", "canceled"])
    assert pace is not None
    assert (pace.orders, pace.placed, pace.per_second) == (2, 3, 1.0)
    assert journal.pace(["canceled"]) is None
