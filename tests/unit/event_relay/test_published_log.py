"""What a relay's follower is handed: no event before the broker has confirmed what is published of it."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count, pairwise
from typing import Any, cast

import pytest

from event_relay import published_log
from event_relay.published_log import Outlet, PublishedLog
from orders.broker.errors import BrokerAway, BrokerBlocked, BrokerError, BrokerSlow, NotConfirmed, Unroutable
from orders.broker.link import Outgoing, Session
from orders.domain.events import OrderPlaced
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Recorded
from tests.support.log_events import unit


def one_for_each_order(batch: list[Recorded]) -> list[Outgoing]:
    return [
        Outgoing(routing_key="a", body=b"", message_id=str(recorded.position))
        for recorded in batch
        if isinstance(recorded.event, OrderPlaced) and recorded.version == 1
    ]


class Floor:
    """A log, a broker that does as it is told, and what lies between them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, batch_events: int = 100) -> None:
        self.now = 0.0
        monkeypatch.setattr(published_log, "CONFIRM_LOOK_S", 0.01)
        monkeypatch.setattr("event_relay.published_log.time.monotonic", lambda: self.now)
        self.store = MemoryEventStore()
        self.answers: list[BrokerError | None] = []
        self.published: list[list[str]] = []
        self.open: list[Future[None]] = []
        self.log = PublishedLog(self.store, one_for_each_order, self.publish, name="a relay", batch_events=batch_events)

    def publish(self, messages: Sequence[Outgoing]) -> Future[None]:
        self.published.append([message.message_id for message in messages])
        future: Future[None] = Future()
        if self.answers:
            self.settle(future, self.answers.pop(0))
        else:
            self.open.append(future)
        return future

    def settle(self, future: Future[None], answer: BrokerError | None) -> None:
        if answer is None:
            future.set_result(None)
        else:
            future.set_exception(answer)

    def read(self, after: int = 0, limit: int = 1_000) -> list[int]:
        return [recorded.position for recorded in self.log.read_log(after=after, limit=limit)]


@pytest.fixture
def floor(monkeypatch: pytest.MonkeyPatch) -> Floor:
    floor = Floor(monkeypatch)
    floor.store.append([unit(), unit()])
    return floor


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Other threads of this process write lines of their own."""
    return [record for record in caplog.records if record.name.startswith("event_relay")]


def test_events_are_handed_out_once_their_messages_are_confirmed_and_published_once(floor: Floor) -> None:
    assert floor.read() == []
    assert floor.read() == [], "asked again while the confirm is under way"
    floor.settle(floor.open.pop(), None)
    assert floor.read() == [1, 2]
    assert floor.published == [["1", "2"]]


def test_events_without_a_message_need_no_broker(floor: Floor) -> None:
    floor.store.append([unit(events=3)])
    assert floor.read(after=3) == [4, 5]
    assert floor.published == []


def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = Floor(monkeypatch, batch_events=2)
    floor.store.append([unit() for _ in range(5)])
    floor.answers = [None, None]
    assert floor.read() == [1, 2]
    assert floor.read(after=2, limit=1) == [3]


def test_what_was_not_confirmed_is_published_again_after_a_pause_that_grows(floor: Floor) -> None:
    tries: list[float] = []
    floor.answers = [BrokerAway("it is away") for _ in range(8)]
    for hundredth in range(1_000):
        floor.now = hundredth / 100
        seen = len(floor.published)
        assert floor.read() == []
        tries += [floor.now] if len(floor.published) > seen else []
        if not floor.answers:
            break
    pauses = [round(later - earlier, 1) for earlier, later in pairwise(tries)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    floor.now += 2.0
    floor.answers = [None]
    assert floor.read() == [1, 2]


def test_a_follower_that_starts_again_elsewhere_in_the_log_gets_what_it_asks_for(floor: Floor) -> None:
    assert floor.read() == []
    floor.answers = [None]
    assert floor.read(after=1) == [2]
    assert floor.published == [["1", "2"], ["2"]]


@pytest.mark.parametrize("refusal", [NotConfirmed("its queue is full"), BrokerBlocked("it is low on memory")])
def test_what_the_broker_refuses_while_it_answers_is_told_once_and_so_is_its_end(
    floor: Floor, caplog: pytest.LogCaptureFixture, refusal: BrokerError
) -> None:
    caplog.set_level(logging.INFO)
    floor.answers = [refusal] * 5 + [None]
    for now in count(step=3):
        floor.now = float(now)
        if floor.read():
            break
    assert [record.levelname for record in told(caplog)] == ["WARNING", "INFO"]
    assert str(refusal) in caplog.text


def test_an_outage_is_left_to_the_link_to_tell_of(floor: Floor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    floor.answers = [BrokerAway("it is away"), None]
    floor.read()
    floor.now += 3.0
    assert floor.read() == [1, 2]
    assert told(caplog) == []


@pytest.mark.parametrize("refusal", [BrokerSlow("not within 5 s"), NotConfirmed("its queue is full")])
def test_what_is_too_much_is_published_again_in_halves_and_what_is_confirmed_lets_it_grow_again(
    monkeypatch: pytest.MonkeyPatch, refusal: BrokerError
) -> None:
    floor = Floor(monkeypatch, batch_events=8)
    floor.store.append([unit() for _ in range(30)])
    floor.answers = [refusal, refusal, refusal, refusal, None, None, None, None, None, None]
    after = 0
    for now in range(0, 30, 3):
        floor.now = float(now)
        after = max(floor.read(after), default=after)
    assert [len(ids) for ids in floor.published] == [8, 4, 2, 1, 1, 2, 4, 8, 8, 7]


def test_an_outage_makes_no_batch_smaller(floor: Floor) -> None:
    floor.answers = [BrokerAway("it is away"), None]
    floor.read()
    floor.now += 3.0
    assert floor.read() == [1, 2]


class Publishing:
    """A session that takes what it is told to take, or raises, and a relay's way out over it."""

    def __init__(self) -> None:
        self.outcome: BrokerError | None = None
        self.lost: list[BrokerError] = []
        self.declared = 0

    async def publish(self, exchange: str, messages: Sequence[Outgoing], *, routed: bool) -> None:
        if self.outcome is not None:
            raise self.outcome

    def lose(self, reason: BrokerError) -> None:
        self.lost.append(reason)

    def told(self, outcome: BrokerError | None, *, only_hints: bool, times: int = 1) -> None:
        """Raises what who publishes hears of it."""

        async def publish() -> None:
            outlet = Outlet("orders.work", self._declare, only_hints=only_hints)
            working = asyncio.ensure_future(outlet.work(cast(Session, self), asyncio.Event()))
            await asyncio.sleep(0)
            self.outcome = outcome
            try:
                for _ in range(times):
                    await asyncio.wrap_future(outlet([]))
            finally:
                working.cancel()

        asyncio.run(publish())

    async def _declare(self, session: Any) -> None:
        self.declared += 1


def test_hints_that_find_their_queue_full_count_as_told_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Publishing().told(NotConfirmed("its queue is full"), only_hints=True, times=3)
    assert ["a queue is full" in record.getMessage() for record in told(caplog)] == [True]


def test_events_that_find_a_queue_full_are_not_told() -> None:
    with pytest.raises(NotConfirmed):
        Publishing().told(NotConfirmed("its queue is full"), only_hints=False)


def test_a_queue_that_is_not_there_ends_the_session_whose_successor_is_prepared_anew() -> None:
    publishing = Publishing()
    with pytest.raises(BrokerAway, match="deleted"):
        publishing.told(Unroutable("there is no queue"), only_hints=True)
    assert (len(publishing.lost), publishing.declared) == (1, 0)
