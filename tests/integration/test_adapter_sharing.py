"""Workers that come and go share the shards out among themselves, on a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from exchange_adapter import workers
from exchange_adapter.ownership import LOCK_SPACE, NOTHING
from exchange_adapter.sharing import Heartbeats
from orders.shards import SHARDS
from tests.support.shard_owners import ShardFloor, shard_floor
from tests.support.waiting import wait_until


def rows(database_url: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(statement.encode(), parameters).fetchall()


def cut(database_url: str, worker: str) -> None:
    """Its connection ends, as at a crash."""
    ended = rows(
        database_url, "select pg_terminate_backend(backend_pid) from adapter_workers where worker = %s", worker
    )
    assert ended == [(True,)]


def some_beats(database_url: str, worker: str) -> None:
    """Until it has told of itself three times more."""

    def seen_at() -> list[tuple[Any, ...]]:
        return rows(database_url, "select seen_at from adapter_workers where worker = %s", worker)

    seen = {str(seen_at())}
    wait_until(lambda: seen.add(str(seen_at())) or len(seen) > 3, what="some beats")  # type: ignore[func-returns-value]


def settled(floor: ShardFloor) -> None:
    wait_until(floor.is_fair, what=f"fair shares; {floor.counts}")
    assert floor.conflicts == set()


def test_one_worker_owns_all_and_with_each_that_comes_or_goes_the_shares_even_out(database_url: str) -> None:
    with shard_floor(database_url) as floor:
        for _ in range(5):
            floor.join()
            settled(floor)
        assert sorted(floor.counts) == [12, 13, 13, 13, 13]
        reader = next(owner for owner in floor.owners if owner.owned.reports)
        assert reader is floor.owners[0], "the reports stay where they are"
        for owner in (floor.owners[3], floor.owners[0], floor.owners[1]):
            floor.end(owner)
            settled(floor)
        floor.end(floor.owners[0])
        wait_until(lambda: floor.counts == [SHARDS])
    assert floor.conflicts == set()
    assert rows(database_url, "select worker from adapter_workers") == [], "who stopped is off the list"


def test_shares_that_are_even_do_not_move(database_url: str) -> None:
    with shard_floor(database_url) as floor:
        for _ in range(3):
            floor.join()
        settled(floor)
        moves = floor.moves
        some_beats(database_url, "worker-1")
        assert floor.moves == moves


def test_a_shard_is_handed_over_when_no_turn_runs_there_and_no_new_turn_begins_meanwhile(database_url: str) -> None:
    with shard_floor(database_url) as floor:
        first = floor.join()
        settled(floor)
        first.busy = frozenset(range(40))
        second = floor.join()
        wait_until(lambda: len(second.owned.shards) == SHARDS - 40, what="those at rest")
        wait_until(lambda: len(first.owned.shards) == SHARDS // 2, what="the others to drain")
        assert rows(database_url, "select cardinality(shards) from adapter_workers order by started_at")[0] >= (40,)
        first.busy = frozenset()
        settled(floor)


def test_a_worker_that_leaves_hands_over_what_is_at_rest_before_it_has_ended(database_url: str) -> None:
    with shard_floor(database_url) as floor:
        first, second = floor.join(), floor.join()
        settled(floor)
        first.busy = frozenset(list(first.owned.shards)[:2])
        first.ownership.leave()
        wait_until(lambda: len(second.owned.shards) == SHARDS - 2, what="all but what is busy")
        wait_until(lambda: second.owned.reports, what="the reports")
        assert first.owned == NOTHING
        first.busy = frozenset()
        wait_until(lambda: len(second.owned.shards) == SHARDS, what="all")
    assert floor.conflicts == set()


def test_a_worker_whose_connection_is_cut_loses_all_at_once_and_comes_back(database_url: str) -> None:
    with shard_floor(database_url) as floor:
        first, second = floor.join(), floor.join()
        settled(floor)
        told = floor.moves
        cut(database_url, "worker-1")
        wait_until(lambda: floor.moves > told and first.owned == NOTHING, what="the first to notice")
        wait_until(lambda: second.owned.reports, what="the second to take over")
        wait_until(floor.is_fair, what="the first to have its share again")


def test_a_worker_that_tells_nothing_any_more_has_its_locks_taken_and_another_goes_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "Heartbeats", lambda: Heartbeats(frozen_after=2))
    with shard_floor(database_url) as floor:
        stuck, other = floor.join(), floor.join()
        settled(floor)
        stuck.answers = False
        wait_until(lambda: len(other.owned.shards) == SHARDS, what="all shards")
        assert other.owned.reports
        wait_until(lambda: stuck.owned == NOTHING, what="the stuck one to notice")
        floor.conflicts.clear()  # until then both believed; the claims in the log keep that harmless
        stuck.answers = True
        settled(floor)


@pytest.mark.parametrize(
    "refused", ["do $$ begin raise insufficient_privilege; end $$", "select 1 where false"], ids=["refused", "unseen"]
)
def test_where_a_silent_worker_may_not_be_ended_it_keeps_its_shards_and_nothing_else_breaks(
    database_url: str, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    monkeypatch.setattr(workers, "Heartbeats", lambda: Heartbeats(frozen_after=3))  # a beat that is late is no silence
    monkeypatch.setattr(workers, "_SQL", {**workers._SQL, "end_frozen": refused})
    with shard_floor(database_url) as floor, capture_logs() as lines:
        kept = lambda: [line["worker"] for line in lines if "keeps its shards" in line["event"]]  # noqa: E731
        stuck, other = floor.join(), floor.join()
        settled(floor)
        assert kept() == []
        stuck.answers = False
        wait_until(kept, within_s=30, what="word of the one that keeps its shards")
        some_beats(database_url, "worker-2")
        assert kept() == ["worker-1"], "it is said once"
        assert floor.counts == [SHARDS // 2, SHARDS // 2]
        stuck.answers = True
        floor.end(other)
        wait_until(lambda: floor.counts == [SHARDS])


def test_the_list_tells_of_each_worker_and_forgets_one_that_died(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FORGET_WORKER_S", 1.0)
    with shard_floor(database_url) as floor:
        floor.join()
        settled(floor)
        wait_until(lambda: rows(database_url, "select cardinality(shards) from adapter_workers") == [(SHARDS,)])
        ((venue, reports, duties, placed),) = rows(
            database_url,
            "select venue, reads_reports, figures->'duties', figures->'attempts'->'placed' from adapter_workers",
        )
        assert (venue, reports, duties, placed) == ("v", True, 4, 5)
        rows(
            database_url,
            "insert into adapter_workers (worker, venue, backend_pid, seen_at)"
            " values ('dead', 'v', 1, now() - interval '2 s') returning 1",
        )
        wait_until(lambda: rows(database_url, "select worker from adapter_workers") == [("worker-1",)])
        assert floor.counts == [SHARDS], "the dead one counted for nothing"


def test_a_connection_that_is_not_the_workers_any_more_is_not_ended(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "Heartbeats", lambda: Heartbeats(frozen_after=1))
    with psycopg.connect(database_url, autocommit=True) as stranger, shard_floor(database_url) as floor:
        stranger.execute("select pg_advisory_lock(%s, 63)", (LOCK_SPACE,))
        told_before = "now() - interval '1 h'"  # the backend began after that: the number was given anew
        stranger.execute(
            "insert into adapter_workers (worker, venue, backend_pid, seen_at)"
            f" values ('dead', 'v', pg_backend_pid(), {told_before})".encode()
        )
        floor.join()
        wait_until(lambda: floor.counts == [SHARDS - 1], what="all but the stranger's")
        some_beats(database_url, "worker-1")
        stranger.execute("select 1")
