"""Query tables are made anew beside the live ones, compared with them, and put in their place."""

from collections.abc import Callable
from threading import Event, Thread
from unittest.mock import patch

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_service.postgres import service_url
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.postgres import PostgresEventStore
from orders.follower import Checkpoint
from projections.errors import RebuildRunning, RebuildStopped, TablesNotWhole
from projections.filling import FAST
from projections.order_status import ORDER_STATUS
from projections.projection import Projection
from projections.rebuild import COMPARING, FILLING, SWAPPING, Comparison, Difference, Progress, rebuilding
from projections.registry import PROJECTIONS
from projections.survey import survey
from projections.swap import as_of, kept_of, shadow_of
from projections.tables import make_tables
from projections.trades import TRADES
from tests.support.projection_rows import position_of, wait_for_rows
from tests.support.read_service import projecting
from tests.support.rebuilds import (
    change,
    checkpoint_of,
    digest_of,
    follow,
    forget,
    reached_in,
    replay,
    schemas_of,
    told_failures,
)
from tests.support.trading_desk import Step, TradingDesk, steps
from tests.support.waiting import wait_until


@pytest.fixture
def desk(store: PostgresEventStore) -> TradingDesk:
    """With a few orders in the log, one of them filled."""
    desk = TradingDesk(store)
    for price in ("1.10", None, "1.2"):
        desk.place(price=price)
    desk.fill(desk.place(), 100)
    return desk


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda one: one.name)
def test_a_rebuild_equals_the_live_tables_and_takes_their_place(
    database_url: str, store: PostgresEventStore, desk: TradingDesk, projection: Projection
) -> None:
    position = follow(database_url, projection, store)
    live = digest_of(database_url, projection.schema)
    done = replay(database_url, projection, store)
    assert (done.position, done.events, done.generation) == (position, position, 2)
    assert done.comparison is not None
    assert (done.comparison.equal, done.comparison.position) == (True, position)
    assert done.digest == live.hex == digest_of(database_url, projection.schema).hex
    assert checkpoint_of(database_url, projection) == Checkpoint(position, 2)
    assert reached_in(database_url, projection.schema) == position
    assert schemas_of(database_url, projection) == ["", "_old"]
    assert done.kept == f"{projection.schema}_old"


def stopped_at(position: int, stop: Event) -> Callable[[Progress], None]:
    """For `told`: stops the rebuild when it has come so far."""

    def told(progress: Progress) -> None:
        if progress.phase == FILLING and progress.position >= position:
            stop.set()

    return told


def stop_in_the_middle(url: str, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch) -> int:
    """A rebuild of orders in batches of one event, stopped after the second; where its tables are."""
    monkeypatch.setattr("projections.filling.REBUILD_BATCH_EVENTS", 1)
    monkeypatch.setattr("projections.rebuild.REBUILD_TOLD_S", 0)
    stop = Event()
    with pytest.raises(RebuildStopped):
        replay(url, ORDER_STATUS, store, stop=stop, told=stopped_at(2, stop))
    return reached_in(url, shadow_of(ORDER_STATUS))


def test_a_rebuild_that_was_stopped_leaves_the_live_tables_and_goes_on_where_it_was(
    database_url: str, store: PostgresEventStore, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = follow(database_url, ORDER_STATUS, store)
    live = digest_of(database_url, ORDER_STATUS.schema)
    assert stop_in_the_middle(database_url, store, monkeypatch) == 2
    assert digest_of(database_url, ORDER_STATUS.schema) == live
    assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(head, 1)
    done = replay(database_url, ORDER_STATUS, store)
    assert (done.resumed_at, done.events, done.digest) == (2, head - 2, live.hex)
    assert schemas_of(database_url, ORDER_STATUS) == ["", "_old"]


def test_what_another_release_left_unfinished_is_begun_afresh(
    database_url: str, store: PostgresEventStore, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = follow(database_url, ORDER_STATUS, store)
    stop_in_the_middle(database_url, store, monkeypatch)
    newer = msgspec.structs.replace(ORDER_STATUS, revision=2)
    done = replay(database_url, newer, store)
    assert (done.resumed_at, done.events) == (0, head)


def test_a_changed_row_is_mended_and_told(database_url: str, store: PostgresEventStore, desk: TradingDesk) -> None:
    follow(database_url, ORDER_STATUS, store)
    right = digest_of(database_url, ORDER_STATUS.schema)
    change(database_url, "update orders set quantity = 7 where placed_position = 1", ORDER_STATUS.schema)
    done = replay(database_url, ORDER_STATUS, store)
    assert done.comparison is not None
    assert done.comparison.equal is False
    assert done.comparison.differences == (Difference(table="orders", live_rows=4, rebuilt_rows=4),)
    assert digest_of(database_url, ORDER_STATUS.schema) == right


def test_a_missing_row_that_stopped_the_follower_is_mended_and_the_log_followed_on(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    follow(database_url, ORDER_STATUS, store)
    change(database_url, "delete from orders", ORDER_STATUS.schema)
    desk.cancel(next(iter(desk.orders)))
    with projecting(store, database_url, [ORDER_STATUS]):
        wait_until(lambda: told_failures(database_url), what="the follower that has no row to change")
        done = replay(database_url, ORDER_STATUS, store)
        assert done.position == store.head()
        assert done.comparison is not None
        assert done.comparison.differences == (Difference(table="orders", live_rows=0, rebuilt_rows=4),)
        desk.place()
        wait_for_rows(database_url, ORDER_STATUS, store.head())
        wait_until(lambda: not told_failures(database_url), what="the failure to be over")


NOT_WHOLE = {
    "delete from reached": "its table reached has 0 rows instead of one",
    "drop table reached": "without reached",
    "drop table fills": "without fills",
}


@pytest.mark.parametrize(("damage", "lack"), NOT_WHOLE.items())
def test_live_tables_that_are_not_whole_are_not_compared_but_made_anew(
    database_url: str, store: PostgresEventStore, desk: TradingDesk, damage: str, lack: str
) -> None:
    follow(database_url, TRADES, store)
    right = digest_of(database_url, TRADES.schema)
    change(database_url, damage, TRADES.schema)
    with psycopg.connect(database_url) as connection:
        found = survey(connection, TRADES).live
    assert found is not None
    assert (found.ours, found.position) == (True, None)
    assert found.lack == f"the tables in projection_trades are not whole: {lack}"
    done = replay(database_url, TRADES, store)
    assert done.comparison == Comparison(equal=None, reason=found.lack)
    assert digest_of(database_url, TRADES.schema) == right


@pytest.mark.parametrize("damage", NOT_WHOLE)
def test_what_an_interrupted_rebuild_left_is_begun_afresh_where_it_is_not_whole(
    database_url: str, store: PostgresEventStore, desk: TradingDesk, damage: str
) -> None:
    follow(database_url, TRADES, store)
    with rebuilding(TRADES, store, service_url(database_url)) as rebuild:
        rebuild.fill_as_of(3)
    with psycopg.connect(database_url) as connection:
        connection.execute(f"alter schema {as_of(TRADES)} rename to {shadow_of(TRADES)}".encode())
    change(database_url, damage, shadow_of(TRADES))
    done = replay(database_url, TRADES, store)
    assert (done.resumed_at, done.comparison) == (0, Comparison(equal=True, position=store.head()))


@pytest.mark.parametrize("damage", NOT_WHOLE)
def test_kept_tables_that_are_not_whole_do_not_come_back(
    database_url: str, store: PostgresEventStore, desk: TradingDesk, damage: str
) -> None:
    follow(database_url, TRADES, store)
    replay(database_url, TRADES, store)
    change(database_url, damage, kept_of(TRADES))
    with rebuilding(TRADES, store, database_url) as rebuild, pytest.raises(TablesNotWhole):
        rebuild.roll_back()
    assert checkpoint_of(database_url, TRADES).generation == 2


def test_live_tables_that_say_more_than_the_log_has_are_not_compared_but_made_anew(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    follow(database_url, TRADES, store)
    change(database_url, "update reached set position = 50", TRADES.schema)
    done = replay(database_url, TRADES, store)
    assert done.comparison is not None
    assert "position 50, beyond the log's end" in done.comparison.reason
    assert reached_in(database_url, TRADES.schema) == store.head()


def test_without_live_tables_a_rebuild_makes_them(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    done = replay(database_url, TRADES, store)
    assert done.comparison is not None
    assert (done.comparison.equal, done.comparison.reason) == (None, "there were no live tables")
    assert (done.kept, done.position) == (None, store.head())
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert not make_tables(connection, TRADES)


def test_a_new_release_fills_its_tables_before_it_starts_to_follow(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    head = follow(database_url, TRADES, store)
    newer = msgspec.structs.replace(TRADES, revision=2)
    done = replay(database_url, newer, store)
    assert done.comparison is not None
    assert (done.comparison.equal, done.comparison.reason) == (None, "the live tables are those of another release")
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert not make_tables(connection, newer)
    assert checkpoint_of(database_url, newer) == Checkpoint(head, 2)


def test_one_rebuild_of_a_projection_at_a_time_and_the_second_says_who_does_it(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    with rebuilding(TRADES, store, database_url, by="the first one"):
        with pytest.raises(RebuildRunning, match=r"trades is being rebuilt already, by the first one \(pid \d+ on "):
            replay(database_url, TRADES, store)
        replay(database_url, ORDER_STATUS, store)
    replay(database_url, TRADES, store)


def test_tables_as_of_a_position_are_filled_beside_the_live_ones_which_stay_as_they_are(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    follow(database_url, ORDER_STATUS, store, to=3)
    at_3 = digest_of(database_url, ORDER_STATUS.schema)
    follow(database_url, ORDER_STATUS, store)
    live = digest_of(database_url, ORDER_STATUS.schema)
    for position, digest in ((store.head(), live), (3, at_3)):
        with rebuilding(ORDER_STATUS, store, database_url, pace=FAST) as rebuild:
            done = rebuild.fill_as_of(position)
        assert (done.position, done.digest, done.tables) == (position, digest.hex, digest.tables)
        assert reached_in(database_url, "projection_order_status_as_of") == position
    assert digest_of(database_url, ORDER_STATUS.schema) == live
    assert checkpoint_of(database_url, ORDER_STATUS).generation == 1
    with rebuilding(ORDER_STATUS, store, database_url) as rebuild:
        assert rebuild.drop_as_of()
        assert not rebuild.drop_as_of()
    assert schemas_of(database_url, ORDER_STATUS) == [""]


def test_a_rebuild_during_writes_equals_the_live_tables_that_follow_them(
    database_url: str, store: PostgresEventStore
) -> None:
    desk, stop = TradingDesk(store), Event()

    def write() -> None:
        while not stop.is_set():
            desk.fill(desk.place(price="1.10"), 60)

    writer = Thread(target=write)
    with projecting(store, database_url, [ORDER_STATUS, TRADES]):
        writer.start()
        try:
            for projection in (ORDER_STATUS, TRADES):
                wait_for_rows(database_url, projection, 20)
                done = replay(database_url, projection, store)
                assert done.comparison is not None
                assert done.comparison.equal, done
                wait_for_rows(database_url, projection, done.position + 1)
        finally:
            stop.set()
            writer.join(10)
        for projection in (ORDER_STATUS, TRADES):
            wait_for_rows(database_url, projection, store.head())
            assert replay(database_url, projection, store).comparison == Comparison(equal=True, position=store.head())


def test_what_is_followed_while_it_compares_is_in_both(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    head = follow(database_url, ORDER_STATUS, store)
    more = iter([desk.place])

    def told(progress: Progress) -> None:
        if progress.phase == COMPARING:
            for place in more:
                place()
                follow(database_url, ORDER_STATUS, store)

    done = replay(database_url, ORDER_STATUS, store, told=told)
    assert done.comparison == Comparison(equal=True, position=head + 1)


@settings(max_examples=15)
@given(
    projection=st.sampled_from(PROJECTIONS),
    prices=st.lists(st.sampled_from([None, "1.1", "1.10", "2E+1"]), min_size=1, max_size=4),
    steps=steps,
    cuts=st.lists(st.integers(1, 9), max_size=4),
    batch=st.integers(1, 7),
)
def test_a_rebuild_equals_the_live_tables_whatever_the_history_and_the_batches(
    module_database_url: str,
    projection: Projection,
    prices: list[str | None],
    steps: list[Step],
    cuts: list[int],
    batch: int,
) -> None:
    store = MemoryEventStore()
    desk = TradingDesk(store)
    desk.play(steps, [desk.place(price=price) for price in prices])
    forget(module_database_url, projection)
    for size in cuts:
        to = min(store.head(), position_of(module_database_url, projection) + size)
        follow(module_database_url, projection, store, to=to)
    follow(module_database_url, projection, store)
    with patch("projections.filling.REBUILD_BATCH_EVENTS", batch):
        done = replay(module_database_url, projection, store)
    assert done.comparison == Comparison(equal=True, position=store.head())


def test_progress_is_told_in_phases_with_rate_and_time_left(
    database_url: str, store: PostgresEventStore, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.filling.REBUILD_BATCH_EVENTS", 2)
    monkeypatch.setattr("projections.rebuild.REBUILD_TOLD_S", 0)
    head = follow(database_url, ORDER_STATUS, store)
    told: list[Progress] = []
    replay(database_url, ORDER_STATUS, store, told=told.append)
    assert list(dict.fromkeys(one.phase for one in told)) == [FILLING, COMPARING, SWAPPING]
    assert [one.position for one in told if one.phase == FILLING] == [*range(2, head, 2), head]
    assert all(one.target == head and one.events_per_s > 0 for one in told)
    assert told[0].left_s
    assert told[-1].left_s == 0
