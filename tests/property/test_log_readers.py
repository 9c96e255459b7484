"""No reader of the log skips or repeats an event, in whatever order writers begin, hold, commit, roll back and die.

The writers are sessions that hold a transaction open around append_events, as no writer of ours does; the readers are
subscriptions. The model knows what is committed, in commit order: a reader must have seen exactly the beginning of it.
"""

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from orders.eventstore.codec import encode, topic_of
from orders.eventstore.port import BrokenLog
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import MemoryHints, Subscription
from tests.campaigns.log_readers import spoil
from tests.support.log_events import placed

WRITERS = 4
READERS = 3
STREAMS = 5
WITHIN_S = 10.0
EXAMPLES = 40
STEPS = 40

APPEND = "select head, dropped from append_events(%s, %s, %s, %s)"
Event = tuple[UUID, int]  # stream and version
Unit = tuple[UUID, int, int]  # stream, expected version, events

units = st.lists(
    st.tuples(st.integers(0, STREAMS - 1), st.integers(1, 3), st.booleans()),
    min_size=1,
    max_size=3,
    unique_by=lambda unit: unit[0],
)
writers = st.integers(0, WRITERS - 1)


class Session:
    """A writer's transaction, and the thread that waits in it."""

    def __init__(self, url: str, killer: psycopg.Connection[Any]) -> None:
        self.url = url
        self.killer = killer
        self.thread = ThreadPoolExecutor(1)
        self.connection: psycopg.Connection[Any] | None = None
        self.units: list[Unit] = []
        self.answer: Future[tuple[int, list[UUID]]] | None = None

    def append(self, wanted: list[Unit]) -> None:
        if self.connection is None:
            self.connection = psycopg.connect(self.url)
        self.units = wanted
        self.answer = self.thread.submit(self._append, self.connection, wanted)

    @staticmethod
    def _append(connection: psycopg.Connection[Any], wanted: list[Unit]) -> tuple[int, list[UUID]]:
        event = placed()
        rows = [(stream, expected + n) for stream, expected, count in wanted for n in range(1, count + 1)]
        params = (
            [stream for stream, _ in rows],
            [version for _, version in rows],
            [topic_of(event)] * len(rows),
            [encode(event)] * len(rows),
        )
        row = connection.execute(APPEND, params, binary=True).fetchone()
        assert row is not None
        return row[0], row[1]

    def die(self) -> None:
        """Its process is gone: the server ends the session, whatever it does."""
        assert self.connection is not None
        self.killer.execute("select pg_terminate_backend(%s)", (self.connection.info.backend_pid,))
        if self.answer is not None:
            self.answer.exception(WITHIN_S)
        self.connection.close()
        self.connection = None
        self.answer = None

    def end(self) -> None:
        if self.connection is not None:
            self.die()
        self.thread.shutdown()


class Schedule(RuleBasedStateMachine):
    url: ClassVar[str]
    answers_are_exact: ClassVar[bool] = True  # off where the function under test is another one

    def __init__(self) -> None:
        super().__init__()
        self.store = PostgresEventStore(self.url)
        self.base = self.store.head()
        self.committed: list[Event] = []
        self.streams = [uuid4() for _ in range(STREAMS)]
        self.killer = psycopg.connect(self.url, autocommit=True)
        self.sessions = [Session(self.url, self.killer) for _ in range(WRITERS)]
        self.holder: Session | None = None
        self.waiting: list[Session] = []
        self.readers = [Subscription(self.store, after=self.base, hints=MemoryHints()) for _ in range(READERS)]
        self.seen: list[list[Event]] = [[] for _ in range(READERS)]

    def version(self, stream: UUID) -> int:
        return sum(of == stream for of, _ in self.committed)

    def idle(self, session: Session) -> bool:
        return session is not self.holder and session not in self.waiting

    @rule(writer=writers, wanted=units)
    def append(self, writer: int, wanted: list[tuple[int, int, bool]]) -> None:
        """On what is committed now; a stale unit is one behind, a unit that has to wait may become so."""
        session = self.sessions[writer]
        if not self.idle(session):
            return
        session.append(
            [(self.streams[n], max(0, self.version(self.streams[n]) - stale), count) for n, count, stale in wanted]
        )
        self.waiting.append(session)
        if self.holder is None:
            self.lock_passes_on()

    def lock_passes_on(self) -> None:
        """One of those who wait has the lock now, and its answer."""
        self.holder = None
        if not self.waiting:
            return
        answers = {session.answer: session for session in self.waiting if session.answer is not None}
        done, _ = wait(answers, WITHIN_S, FIRST_COMPLETED)
        assert done, "nobody got the append lock"
        self.holder = answers[done.pop()]
        self.waiting.remove(self.holder)
        assert self.holder.answer is not None
        head, dropped = self.holder.answer.result()
        if self.answers_are_exact:
            assert head == self.base + len(self.committed)
            assert set(dropped) == {stream for stream, expected, _ in self.holder.units if self.moved(stream, expected)}

    def moved(self, stream: UUID, expected: int) -> bool:
        return self.version(stream) != expected

    @precondition(lambda self: self.holder is not None)
    @rule()
    def commit(self) -> None:
        assert self.holder is not None
        assert self.holder.connection is not None
        self.holder.connection.commit()
        for stream, expected, count in self.holder.units:
            if not self.moved(stream, expected):
                self.committed += [(stream, expected + n) for n in range(1, count + 1)]
        self.lock_passes_on()

    @precondition(lambda self: self.holder is not None)
    @rule()
    def roll_back(self) -> None:
        assert self.holder is not None
        assert self.holder.connection is not None
        self.holder.connection.rollback()
        self.lock_passes_on()

    @rule(writer=writers)
    def die(self, writer: int) -> None:
        session = self.sessions[writer]
        if self.idle(session):
            return
        session.die()
        if session is self.holder:
            self.lock_passes_on()
        else:
            self.waiting.remove(session)

    @rule(reader=st.integers(0, READERS - 1), limit=st.sampled_from([1, 2, 100]))
    def read(self, reader: int, limit: int) -> None:
        before = len(self.seen[reader])
        batch = self.readers[reader].next_batch(0, limit=limit)
        self.seen[reader] += [(event.stream_id, event.version) for event in batch]
        assert [event.position for event in batch] == [self.base + before + n for n in range(1, len(batch) + 1)]
        assert self.seen[reader] == self.committed[: before + limit]

    def teardown(self) -> None:
        for session in self.sessions:
            session.end()
        self.killer.close()
        self.store.close()


@pytest.fixture
def url(renewed_database_url: str) -> str:
    return renewed_database_url


def run(schedule: type[Schedule], **options: Any) -> None:
    run_state_machine_as_test(schedule, settings=settings(stateful_step_count=STEPS, deadline=None, **options))


def test_no_reader_skips_or_repeats_an_event(url: str) -> None:
    class OnOurFunction(Schedule):
        pass

    OnOurFunction.url = url
    run(OnOurFunction, max_examples=EXAMPLES)


@pytest.mark.parametrize("how", ["lock", "sequence"])
def test_the_schedules_find_a_log_that_is_not_so(url: str, how: str) -> None:
    """Without the append lock writers collide; with positions from a sequence, readers pass one not yet committed."""
    spoil(url, how)

    class OnASpoiledFunction(Schedule):
        answers_are_exact = False

    OnASpoiledFunction.url = url
    options = {"derandomize": True, "database": None, "phases": [Phase.generate], "report_multiple_bugs": False}
    with pytest.raises((BrokenLog, AssertionError, psycopg.Error, ExceptionGroup, Flaky)):
        run(OnASpoiledFunction, max_examples=200, **options)
