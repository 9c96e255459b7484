"""What somebody did to the log past every guard is found and named, and nothing else is."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from orders.domain import commands as c
from orders.eventstore.postgres import PostgresEventStore
from orders.hash_chain import ChainHead, parse_head
from orders.log_check.check import LogReport, check_log
from orders.log_check.finding import LogFinding, LogFindings
from orders.log_check.reading import LogRows
from tests.support.hash_chain import chain_log, chaining, head_of, link_by_hand
from tests.support.postgres import execute
from tests.support.silent_progress import Silent
from tests.support.tampering import tamper, tampering
from tests.support.trading_desk import TradingDesk


@pytest.fixture
def desk(store: PostgresEventStore, database_url: str) -> TradingDesk:
    """Three orders: events 1 to 9, covered by three links of the chain."""
    desk = TradingDesk(store)
    orders = [desk.place() for _ in range(3)]
    link_by_hand(store, database_url)
    for order_id in orders:
        desk.fill(order_id, 40)
    link_by_hand(store, database_url)
    for order_id in orders:
        desk.do(order_id, c.RecordCanceled)
    link_by_hand(store, database_url)
    assert store.head() == 9
    return desk


def check(url: str, noted: ChainHead | None = None) -> LogReport:
    return check_log(url, Silent(), noted=noted)


def told(findings: Sequence[LogFinding]) -> list[tuple[str, int, int | None]]:
    return [(finding.what, finding.position, finding.last_position) for finding in findings]


def found(url: str, noted: ChainHead | None = None) -> list[tuple[str, int, int | None]]:
    return told(check(url, noted).findings)


def test_a_log_as_it_was_written_is_well_and_covered(desk: TradingDesk, database_url: str) -> None:
    report = check(database_url, head_of(database_url))
    assert (report.events, report.streams, report.uncovered, report.number) == (9, 3, 0, 0)
    assert report.chain == head_of(database_url)
    desk.place()
    assert check(database_url).uncovered == 1


def test_an_empty_log_is_well(database_url: str) -> None:
    assert check(database_url).number == 0


def test_a_changed_event_is_named_with_its_order(desk: TradingDesk, database_url: str) -> None:
    """It is as valid as before, and the order's later events agree: only the chain knows."""
    tamper(
        database_url,
        "update order_events set state = convert_to(replace(convert_from(state, 'UTF8'), '\"by\":\"tests\"',"
        " '\"by\":\"nobody\"'), 'UTF8') where notification_id = 5",
    )
    (finding,) = check(database_url).findings
    assert told([finding]) == [("changed_event", 5, None)]
    order_id = list(desk.orders)[1]
    assert finding.text == f"position 5: the event was changed (order {order_id}, version 2)"


def test_a_changed_state_is_named_by_order_version_and_field_where_the_chain_does_not_reach(
    store: PostgresEventStore, database_url: str
) -> None:
    desk = TradingDesk(store)
    order_id = desk.place()
    desk.fill(order_id, 40)
    tamper(
        database_url,
        "update order_events set state = convert_to(replace(convert_from(state, 'UTF8'), '\"filled_quantity\":40',"
        " '\"filled_quantity\":41'), 'UTF8') where notification_id = 2",
    )
    report = check(database_url)
    assert report.uncovered == 2
    (finding,) = report.findings
    assert (finding.what, finding.order_id, finding.version, finding.field) == (
        "wrong_state",
        order_id,
        2,
        "filled_quantity",
    )
    assert (finding.stored, finding.expected) == ("41", "40")


def test_an_event_removed_in_the_middle_is_named_by_position_and_by_its_order(
    desk: TradingDesk, database_url: str
) -> None:
    tamper(database_url, "delete from order_events where notification_id = 5")
    report = check(database_url)
    assert told(report.findings) == [("removed_events", 5, 5), ("missing_version", 8, None)]
    order_id = list(desk.orders)[1]
    assert f"order {order_id}, version 2 (position 8): version 2 is missing" in report.findings[1].text


def test_a_removed_event_is_found_where_the_hole_was_closed(desk: TradingDesk, database_url: str) -> None:
    with tampering(database_url) as cursor:
        cursor.execute("delete from order_events where notification_id = 7")
        for position in (8, 9):
            cursor.execute(
                "update order_events set notification_id = %s where notification_id = %s", (position - 1, position)
            )
    assert found(database_url) == [("removed_events", 7, 7), ("moved_events", 7, 8)]


def swap(cursor: psycopg.Cursor[Any], one: int, other: int) -> None:
    for old, new in ((one, 1000), (other, one), (1000, other)):
        cursor.execute("update order_events set notification_id = %s where notification_id = %s", (new, old))


@pytest.mark.parametrize(("one", "other"), [(4, 5), (2, 9)])
def test_a_swapped_pair_is_named_by_both_positions(desk: TradingDesk, database_url: str, one: int, other: int) -> None:
    with tampering(database_url) as cursor:
        swap(cursor, one, other)
    assert found(database_url)[0] == ("swapped_events", one, other)


def test_events_of_one_order_in_each_others_place_are_found_where_the_chain_does_not_reach(
    store: PostgresEventStore, database_url: str
) -> None:
    desk = TradingDesk(store)
    desk.fill(desk.place(), 40)
    with tampering(database_url) as cursor:
        swap(cursor, 1, 2)
    assert found(database_url) == [("position_out_of_order", 1, None)]


def test_a_cut_tail_is_told_from_where_to_where(desk: TradingDesk, database_url: str) -> None:
    tamper(database_url, "delete from order_events where notification_id > 5")
    (finding,) = check(database_url).findings
    assert finding.text == "events 6 to 9 are missing at the end"


def test_a_tail_cut_with_its_links_is_told_by_the_chains_own_follower(desk: TradingDesk, database_url: str) -> None:
    with tampering(database_url) as cursor:
        cursor.execute("delete from order_events where notification_id > 6")
        cursor.execute("delete from hash_chain where last_position > 6")
    assert found(database_url) == [("cut_chain", 7, None)]


def test_a_tail_of_log_and_chain_is_missed_by_a_head_that_was_noted_elsewhere(
    desk: TradingDesk, database_url: str
) -> None:
    noted = parse_head(str(head_of(database_url)))
    with tampering(database_url) as cursor:
        cursor.execute("delete from order_events where notification_id > 6")
        cursor.execute("delete from hash_chain where last_position > 6")
        cursor.execute("update follower_checkpoint set position = 6 where name = 'hash_chain'")
    assert found(database_url) == []
    (finding,) = check(database_url, noted).findings
    assert finding.text == (
        "events 7 to 9 are missing at the end: a head was noted at position 9, and the chain ends at 6"
    )


def test_a_chain_that_was_made_anew_is_not_the_one_that_was_noted(
    store: PostgresEventStore, desk: TradingDesk, database_url: str
) -> None:
    noted = head_of(database_url)
    with tampering(database_url) as cursor:
        cursor.execute("delete from hash_chain")
        cursor.execute("update follower_checkpoint set position = 0 where name = 'hash_chain'")
        cursor.execute(
            "update order_events set state = convert_to(replace(convert_from(state, 'UTF8'), '\"by\":\"tests\"',"
            " '\"by\":\"nobody\"'), 'UTF8')"
        )
    chain_log(store, database_url)
    assert found(database_url) == []
    assert found(database_url, noted) == [("other_chain", 9, None)]
    elsewhere = ChainHead(5, noted.hash)
    assert "no link ends there" in check(database_url, elsewhere).findings[0].text


def test_links_that_were_changed_or_removed_are_told(desk: TradingDesk, database_url: str) -> None:
    tamper(database_url, "delete from hash_chain where last_position = 6")
    assert found(database_url) == [("broken_link", 7, 9)]
    tamper(
        database_url, "update hash_chain set event_digests = previous || previous || previous where last_position = 9"
    )
    assert found(database_url) == [("broken_link", 7, 9)] * 2


def test_digests_that_were_made_to_fit_break_the_next_link(desk: TradingDesk, database_url: str) -> None:
    tamper(
        database_url,
        "update hash_chain set previous = sha256(previous), hash = sha256(sha256(previous) || int8send(first_position)"
        " || event_digests) where last_position = 9",
    )
    assert found(database_url) == [("broken_link", 7, 9)]


def test_a_hole_is_found_where_the_chain_does_not_reach(store: PostgresEventStore, database_url: str) -> None:
    desk = TradingDesk(store)
    for _ in range(5):
        desk.place()
    tamper(database_url, "delete from order_events where notification_id in (2, 3)")
    assert found(database_url) == [("missing_position", 2, 3)]


def test_an_event_of_another_release_is_named(desk: TradingDesk, database_url: str) -> None:
    tamper(
        database_url,
        "insert into order_events values (10, gen_random_uuid(), 1, 'Unheard.v9', '{\"event\":\"Unheard.v9\"}')",
    )
    (finding,) = check(database_url).findings
    assert (finding.what, finding.position) == ("unknown_event", 10)
    assert "'Unheard.v9'" in finding.text


@pytest.mark.parametrize(
    "state", ["no JSON", "null", "", '{"event":"Unheard.v9"}', r'{"event":"OrderPlaced.v1","by":"\377"}']
)
def test_bytes_that_are_not_the_event_that_they_are_stored_as_are_no_matter_of_releases(
    desk: TradingDesk, database_url: str, state: str
) -> None:
    tamper(database_url, f"insert into order_events values (10, gen_random_uuid(), 1, 'OrderPlaced.v1', '{state}')")
    assert found(database_url) == [("unreadable_event", 10, None)]


def test_a_chain_that_was_removed_with_its_followers_word_is_missed_past_a_bound(
    desk: TradingDesk, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tampering(database_url) as cursor:
        cursor.execute("delete from hash_chain")
        cursor.execute("delete from follower_checkpoint")
    assert (found(database_url), check(database_url).uncovered) == ([], 9)
    monkeypatch.setattr("orders.log_check.chain.MAX_UNCOVERED_EVENTS", 8)
    assert found(database_url) == [("chain_behind", 1, 9)]


def test_a_chain_that_has_stopped_is_told_with_its_reason(desk: TradingDesk, database_url: str) -> None:
    execute(database_url, "insert into follower_failure (name, position, reason) values ('hash_chain', 10, 'no idea')")
    (finding,) = check(database_url).findings
    assert (finding.what, finding.text) == ("chain_stopped", "it has stopped at position 10: no idea")


def test_a_checkpoint_of_the_chain_that_was_lost_is_no_finding(desk: TradingDesk, database_url: str) -> None:
    execute(database_url, "delete from follower_checkpoint")
    assert found(database_url) == []


@pytest.mark.parametrize(("statement", "kept"), [("links", 0), ("by_order", 1)])
def test_a_check_that_breaks_off_keeps_what_it_has_found(
    desk: TradingDesk, database_url: str, monkeypatch: pytest.MonkeyPatch, statement: str, kept: int
) -> None:
    """As where the server process of the check is frozen: the wait for it is bounded."""
    tamper(database_url, "update order_events set state = state || ' '::bytea where notification_id = 2")
    rows = LogRows._rows

    def freeze(log: LogRows, name: str, params: dict[str, object]) -> list[Any]:
        if name == statement:
            log._connection.answer_within_s = 0.2  # type: ignore[attr-defined]
            log._connection.execute("select pg_sleep(3)")
        return rows(log, name, params)

    monkeypatch.setattr(LogRows, "_rows", freeze)
    report = check(database_url)
    assert report.number == kept
    assert report.unread is not None


def test_of_very_many_events_that_moved_the_first_are_told(
    store: PostgresEventStore, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders.log_check.chain.MAX_MISMATCHES", 40)
    desk = TradingDesk(store)
    for _ in range(400):
        desk.place()
    chain_log(store, database_url)
    with tampering(database_url) as cursor:
        cursor.execute("delete from order_events where notification_id = 100")
        cursor.execute("update order_events set notification_id = notification_id + 1000 where notification_id > 100")
        cursor.execute("update order_events set notification_id = notification_id - 1001 where notification_id > 1000")
    assert found(database_url) == [
        ("removed_events", 100, 100),
        ("moved_events", 100, 138),
        ("missing_tail", 400, 400),
    ]


def test_many_findings_are_counted_and_the_first_are_kept(
    desk: TradingDesk, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogFindings.__init__, "__defaults__", (2,))
    tamper(database_url, "update order_events set state = state || ' '::bytea where notification_id in (2, 3, 8)")
    report = check(database_url)
    assert told(report.findings) == [("changed_event", 2, None), ("changed_event", 3, None)]
    assert report.number == 3


def test_a_check_of_a_log_that_grows_meanwhile_finds_nothing(store: PostgresEventStore, database_url: str) -> None:
    desk = TradingDesk(store)
    with chaining(store, database_url):
        for _ in range(10):
            for _ in range(5):
                desk.fill(desk.place(), 10)
            report = check(database_url)
            assert report.findings == []
            assert report.events >= 10
