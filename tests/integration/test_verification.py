"""Whatever somebody did to the query tables is found and named, and a table that goes on meanwhile is well."""

import threading
from uuid import UUID

import msgspec
import pytest

from order_service.postgres import service_url
from orders.eventstore.postgres import PostgresEventStore
from projections.errors import VerifyRunning
from projections.order_status import ORDER_STATUS
from projections.projection import Projection
from projections.registry import PROJECTIONS
from projections.row_comparison import RowComparison, RowFinding, Table
from projections.trades import TRADES
from projections.verification import Verified, verifying
from tests.support.postgres import execute, value
from tests.support.projection_rows import wait_for_rows
from tests.support.read_service import projecting
from tests.support.rebuilds import follow, replay
from tests.support.silent_progress import Silent
from tests.support.tampering import tamper
from tests.support.trading_desk import TradingDesk

SCRATCH = "select count(*) from pg_namespace where nspname like '%_verify'"


@pytest.fixture
def orders(store: PostgresEventStore, database_url: str) -> list[UUID]:
    """Three orders, each with a fill, in all tables: events 1 to 6."""
    desk = TradingDesk(store)
    orders = [desk.place(price="1.10000") for _ in range(3)]
    for order_id in orders:
        desk.fill(order_id, 40, exec_id="e1")
    for projection in PROJECTIONS:
        follow(database_url, projection, store)
    return orders


def verify(store: PostgresEventStore, url: str, projection: Projection) -> Verified:
    with verifying(url, store, Silent()) as verification:
        return verification.verify(projection)


def the_only(store: PostgresEventStore, url: str, projection: Projection) -> RowFinding:
    verified = verify(store, url, projection)
    (finding,) = verified.findings
    assert verified.number == 1
    return finding


def test_tables_as_the_projector_keeps_them_are_well(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    with verifying(database_url, store, Silent()) as verification:
        for projection in PROJECTIONS:
            verified = verification.verify(projection)
            assert (verified.findings, verified.position) == ([], 6), projection.name
            assert verified.rows > 0
    assert value(database_url, SCRATCH) == 0


def test_a_changed_row_is_named_with_column_and_event(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    execute(
        database_url, f"update projection_order_status.orders set filled_quantity = 41 where order_id = '{orders[1]}'"
    )
    finding = the_only(store, database_url, ORDER_STATUS)
    assert (finding.what, finding.table, finding.key) == ("changed_row", "orders", {"order_id": str(orders[1])})
    assert (finding.column, finding.live, finding.expected) == ("filled_quantity", "41", "40")
    assert (finding.position, finding.order_id, finding.version) == (5, orders[1], 2)
    assert finding.event == "OrderExecuted"
    assert finding.text == (
        f"orders, row order_id {orders[1]}: filled_quantity is 41, and 40 after a fresh fold of the log;"
        f" by event 5: OrderExecuted of order {orders[1]}, version 2"
    )


def test_a_missing_row_is_named_by_its_key(store: PostgresEventStore, orders: list[UUID], database_url: str) -> None:
    execute(database_url, f"delete from projection_trades.fills where order_id = '{orders[0]}'")
    finding = the_only(store, database_url, TRADES)
    assert (finding.what, finding.key) == ("missing_row", {"order_id": str(orders[0]), "exec_id": "e1"})
    assert (finding.position, finding.order_id, finding.version) == (4, orders[0], 2)


def test_a_surplus_row_is_named_by_its_key(store: PostgresEventStore, orders: list[UUID], database_url: str) -> None:
    execute(
        database_url,
        "insert into projection_trades.fills"
        ' select (jsonb_populate_record(fills, \'{"exec_id":"e9","position":99}\')).*'
        f" from projection_trades.fills where order_id = '{orders[0]}'",
    )
    finding = the_only(store, database_url, TRADES)
    assert (finding.what, finding.position, finding.event) == ("surplus_row", 99, None)
    assert finding.text.endswith("a fresh fold of the log makes no such row; by event 99: no such event")


def test_the_first_event_that_differs_comes_first_and_all_are_counted(
    store: PostgresEventStore, orders: list[UUID], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.row_comparison.MAX_ROW_FINDINGS", 2)
    execute(database_url, "update projection_order_status.orders set account = 'nobody'")
    verified = verify(store, database_url, ORDER_STATUS)
    assert verified.number == 3
    assert [finding.position for finding in verified.findings] == [4, 5]


def test_the_same_number_written_otherwise_is_no_difference(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    execute(database_url, "update projection_trades.fills set price = price + 0.0000000")
    assert verify(store, database_url, TRADES).number == 0


def test_a_changed_event_shows_in_the_rows_too(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    tamper(
        database_url,
        "update order_events set state = convert_to(replace(convert_from(state, 'UTF8'), '\"filled_quantity\":40',"
        " '\"filled_quantity\":70'), 'UTF8') where notification_id = 6",
    )
    finding = the_only(store, database_url, ORDER_STATUS)
    assert (finding.position, finding.column, finding.expected) == (6, "filled_quantity", "70")


def test_a_log_that_cannot_be_folded_is_told(store: PostgresEventStore, orders: list[UUID], database_url: str) -> None:
    tamper(database_url, "delete from order_events where notification_id = 1")
    finding = the_only(store, database_url, ORDER_STATUS)
    assert finding.what == "cannot_fold"
    assert "position 1 is missing" in finding.text


def test_a_checkpoint_that_does_not_stand_where_the_tables_do_is_told(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    execute(database_url, "update follower_checkpoint set position = 5 where name = 'trades'")
    finding = the_only(store, database_url, TRADES)
    assert (finding.what, finding.position) == ("checkpoint", 6)


def test_before_the_first_event_there_need_be_no_tables(database_url: str) -> None:
    empty = PostgresEventStore(database_url)
    assert [verify(empty, database_url, one).number for one in PROJECTIONS] == [0] * len(PROJECTIONS)
    empty.close()


def test_tables_that_are_not_there_or_not_ours_are_told(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    newer = msgspec.structs.replace(TRADES, revision=TRADES.revision + 1)
    assert the_only(store, database_url, newer).what == "foreign_tables"
    execute(database_url, "drop table projection_trades.fills cascade")
    broken = the_only(store, database_url, TRADES)
    assert (broken.what, broken.text) == (
        "broken_tables",
        "the tables in projection_trades are not whole: without fills",
    )
    execute(database_url, "drop schema projection_trades cascade")
    missing = the_only(store, database_url, TRADES)
    assert (missing.what, missing.text) == ("missing_tables", "it has no tables yet")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("delete from projection_trades.reached", "its table reached has 0 rows instead of one"),
        ("update projection_trades.reached set position = -3", "its table reached says position -3"),
        (
            "alter table projection_trades.fills rename to others;"
            " create view projection_trades.fills as select * from projection_trades.others",
            "without fills",
        ),
        ("alter table projection_trades.fills drop column price cascade", "price does not exist"),
    ],
)
def test_tables_that_are_not_whole_are_told_apart_from_none(
    store: PostgresEventStore, orders: list[UUID], database_url: str, statement: str, words: str
) -> None:
    execute(database_url, statement)
    finding = the_only(store, database_url, TRADES)
    assert finding.what == "broken_tables"
    assert words in finding.text


def test_a_row_that_is_there_twice_is_found_whatever_its_index_says(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    execute(database_url, "alter table projection_order_status.orders drop constraint orders_pkey")
    execute(database_url, "drop index projection_order_status.orders_newest")
    execute(
        database_url,
        "insert into projection_order_status.orders"
        f" select * from projection_order_status.orders where order_id = '{orders[1]}'",
    )
    finding = the_only(store, database_url, ORDER_STATUS)
    assert (finding.what, finding.key, finding.position) == ("repeated_row", {"order_id": str(orders[1])}, 5)
    assert finding.text == f"orders, row order_id {orders[1]}: the row is there 2 times"


def test_what_cannot_be_compared_is_a_finding_of_that_projection_alone(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    with verifying(database_url, store, Silent()) as verification:
        execute(service_url(database_url), "revoke select on projection_trades.fills from current_user")
        (finding,) = verification.verify(TRADES).findings
        assert finding.what == "not_compared"
        assert "permission denied" in finding.text
        assert verification.verify(ORDER_STATUS).number == 0


def test_tables_that_are_behind_the_log_are_compared_where_they_are(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    TradingDesk(store).place()
    verified = verify(store, database_url, ORDER_STATUS)
    assert (verified.position, verified.number) == (6, 0)


def test_of_two_at_once_the_second_is_told_so_and_what_a_killed_one_left_goes(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    execute(database_url, "create schema projection_trades_verify; create table projection_trades_verify.rows (a int)")
    with verifying(database_url, store, Silent()):
        assert value(database_url, SCRATCH) == 0
        with pytest.raises(VerifyRunning), verifying(database_url, store, Silent()):
            pass


def test_schemas_that_are_not_scratch_tables_of_a_projection_stay(
    store: PostgresEventStore, orders: list[UUID], database_url: str
) -> None:
    execute(database_url, "create schema projection_to_verify")
    assert verify(store, database_url, TRADES).number == 0
    assert value(database_url, "select count(*) from pg_namespace where nspname = 'projection_to_verify'") == 1


def test_tables_that_are_swapped_again_and_again_are_not_compared(
    store: PostgresEventStore, orders: list[UUID], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.verification._identity", lambda *_: [object()] * 3)
    finding = the_only(store, database_url, TRADES)
    assert finding.what == "not_compared"
    assert finding.text == "other tables took the place of its own 5 times while they were compared"


def test_tables_that_are_written_meanwhile_are_well(
    store: PostgresEventStore, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot that compares folds what came since, however far the live tables run ahead."""
    monkeypatch.setattr("projections.verification.VERIFY_NEAR_EVENTS", 20)
    desk, stop = TradingDesk(store), threading.Event()

    def write() -> None:
        while not stop.is_set():
            order_id = desk.place(price="1.10000")
            desk.fill(order_id, 10)
            desk.cancel(order_id)

    with projecting(store, database_url):
        desk.place()
        for projection in PROJECTIONS:
            wait_for_rows(database_url, projection, 1)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            positions = []
            for _ in range(2):
                for projection in PROJECTIONS:
                    verified = verify(store, database_url, projection)
                    assert verified.findings == []
                    positions.append(verified.position)
        finally:
            stop.set()
            writer.join(10)
    assert positions[-1] > positions[0] > 0


def test_tables_that_are_swapped_while_they_are_compared_are_compared_again(
    store: PostgresEventStore, orders: list[UUID], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the snapshot of the comparison the new tables are empty."""
    compare, swapped = RowComparison.table, threading.Event()

    def swap_first(comparison: RowComparison, table: Table, *, is_there: bool) -> None:
        if not swapped.is_set():
            swapped.set()
            replay(database_url, TRADES, store)
        compare(comparison, table, is_there=is_there)

    monkeypatch.setattr(RowComparison, "table", swap_first)
    assert verify(store, database_url, TRADES).findings == []
    assert swapped.is_set()
