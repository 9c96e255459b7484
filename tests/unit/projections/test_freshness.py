"""An answer holds what it promises, or is refused in time."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from orders.parameters import Asked
from orders.request_errors import InvalidParameters
from projections import checkpoints as checkpoints_module
from projections.checkpoints import Checkpoints
from projections.errors import NotCaughtUp, ReadsUnavailable, TablesMissing, TooManyReads
from projections.freshness import Freshness
from projections.queries import Answer
from projections.read_pool import ReadPool

pytestmark = pytest.mark.anyio

NOWHERE = "postgresql://orders@127.0.0.1:9/orders"


class Projection:
    """A projection's answers, by the position where it stands."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.queries = 0
        self.missing = False
        self.checkpoints = Checkpoints(ReadPool(NOWHERE), NOWHERE)

    def reaches(self, position: int) -> None:
        self.position = position
        self.checkpoints._reached("p", position)

    async def query(self) -> Answer[str]:
        self.queries += 1
        if self.missing:
            raise TablesMissing
        return Answer(content="rows", position=self.position)


class Log:
    """Its last position, and how often that was read."""

    def __init__(self, head: int) -> None:
        self.head = head
        self.reads = 0

    async def read_head(self) -> int:
        self.reads += 1
        return self.head


def freshness(
    projection: Projection, *, committed: int = 0, known: int = 0, head: int = 0, log: Log | None = None
) -> Freshness:
    read_head = (log or Log(head)).read_head
    return Freshness(projection.checkpoints, lambda: committed, lambda: max(committed, known), read_head)


async def test_nothing_is_asked_of_the_tables_before_the_position_is_reached() -> None:
    projection = Projection()
    reading = asyncio.create_task(freshness(projection, committed=5).read("p", Asked(), projection.query))
    for position in (1, 4, 5):
        await asyncio.sleep(0)
        assert (projection.queries, reading.done()) == (0, False)
        projection.reaches(position)
    assert (await reading).position == 5
    assert projection.queries == 1


async def test_a_wait_ends_in_time_without_a_query() -> None:
    projection = Projection(4)
    with pytest.raises(NotCaughtUp, match="p does not hold position 5 yet"):
        await freshness(projection, committed=5).read("p", Asked(wait_ms=20), projection.query)
    assert projection.queries == 0


async def test_without_waiting_there_is_what_is_there() -> None:
    projection = Projection(4)
    answer = await freshness(projection, committed=5).read("p", Asked(wait_ms=0), projection.query)
    assert (answer.content, answer.position) == ("rows", 4)


async def test_no_answer_is_older_than_one_that_was_given() -> None:
    projection = Projection()
    fresh = freshness(projection)
    projection.reaches(9)
    assert (await fresh.read("p", Asked(), projection.query)).position == 9
    projection.position = 3  # thrown back, to be filled again
    with pytest.raises(NotCaughtUp):
        await fresh.read("p", Asked(wait_ms=30), projection.query)
    assert projection.checkpoints.position("p") == 3


async def test_tables_that_are_missing_are_waited_for() -> None:
    projection = Projection()
    projection.reaches(9)
    projection.missing = True
    reading = asyncio.create_task(freshness(projection, head=9).read("p", Asked(), projection.query))
    while not projection.queries:
        await asyncio.sleep(0)
    projection.missing = False
    projection.reaches(9)
    assert (await reading).position == 9
    assert projection.queries == 2


async def test_without_tables_and_without_waiting_it_is_refused() -> None:
    projection = Projection()
    projection.missing = True
    with pytest.raises(ReadsUnavailable):
        await freshness(projection).read("p", Asked(wait_ms=0), projection.query)


async def test_a_position_beyond_the_head_is_refused_and_others_are_promised() -> None:
    fresh = freshness(Projection(), committed=5, head=7)
    assert await fresh.require(Asked()) == 5
    assert await fresh.require(Asked(min_position=3)) == 5
    assert await fresh.require(Asked(min_position=7)) == 7
    with pytest.raises(InvalidParameters, match="Position 8 is beyond the log's last position 7"):
        await fresh.require(Asked(min_position=8))


async def test_the_head_is_read_only_where_a_position_is_beyond_all_that_this_process_has_heard_of() -> None:
    log = Log(8)
    fresh = freshness(Projection(), committed=5, known=7, log=log)
    assert await fresh.require(Asked(min_position=7)) == 7
    await fresh.check_exists("as_of", 7)
    assert await fresh.require(Asked()) == 5  # what others have committed is not promised
    assert log.reads == 0
    assert await fresh.require(Asked(min_position=8)) == 8
    with pytest.raises(InvalidParameters):
        await fresh.check_exists("as_of", 9)
    assert log.reads == 2


async def test_reads_that_wait_for_a_projection_are_bounded_and_others_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoints_module, "MAX_WAITING_READS", 2)
    checkpoints = Projection().checkpoints
    waiting = [asyncio.create_task(checkpoints.wait_for("p", 1, 10)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyReads):
        await checkpoints.wait_for("p", 1, 10)
    other = asyncio.create_task(checkpoints.wait_for("other", 1, 10))
    await asyncio.sleep(0)
    checkpoints._reached("other", 5)
    assert await other
    checkpoints._reached("p", 1)
    assert await asyncio.gather(*waiting) == [True, True]
    assert not await checkpoints.wait_for("p", 2, 0.01)
    assert not any(checkpoints._waiters.values())


async def test_the_checkpoints_are_read_again_whatever_went_wrong(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoints_module, "POLL_INTERVAL_S", 0.01)
    answers: list[list[tuple[str, object]]] = [[("p", None)], [("p", 1)]]

    class Pool(ReadPool):
        async def rows(self, statement: str, params: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
            return answers.pop(0)

    checkpoints = Checkpoints(Pool(NOWHERE), NOWHERE)
    await checkpoints.start()
    assert await checkpoints.wait_for("p", 1, 5)
    await checkpoints.close()
    assert "started again" in caplog.text
