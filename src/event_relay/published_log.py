"""The log as far as the broker has it: what a follower reads whose checkpoint says what was published."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, wait
from typing import Any

from msgspec import Struct

from event_relay.bounds import CONFIRM_LOOK_S, RETRY_S
from orders.broker.bounds import FULL_QUEUE_TOLD_S
from orders.broker.errors import BrokerAway, BrokerError, BrokerSlow, NotConfirmed, Unroutable
from orders.broker.link import Outgoing, Session
from orders.eventstore.port import Recorded
from orders.eventstore.shared_reads import Log

log = logging.getLogger(__name__)

Messages = Callable[[list[Recorded]], Sequence[Outgoing]]
"""What is to be published of a part of the log; pure."""


Publish = Callable[[Sequence[Outgoing]], Future[None]]
"""From any thread. The future raises a BrokerError where not all was confirmed."""


class Outlet:
    """Publishes to one exchange over the session of the moment, as `keep_connected` gives them.

    `only_hints`: what is published may be lost, since who gets it looks elsewhere too, but each has a queue. So a queue
    that is full is told of in the log, and counts as told: one that nobody empties must not keep all others waiting.
    """

    def __init__(
        self, exchange: str, declare: Callable[[Session], Coroutine[Any, Any, None]], *, only_hints: bool
    ) -> None:
        self._exchange = exchange
        self._declare = declare
        self._only_hints = only_hints
        self._full_told_at: float | None = None
        self._session: Session | None = None
        self._loop = asyncio.get_running_loop()

    async def prepare(self, session: Session) -> None:
        await self._declare(session)

    async def work(self, session: Session, stop: asyncio.Event) -> None:
        """Lends the session to who publishes, until the stop."""
        self._session = session
        try:
            await stop.wait()
        finally:
            self._session = None

    def __call__(self, messages: Sequence[Outgoing]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(self._publish(messages), self._loop)

    async def _publish(self, messages: Sequence[Outgoing]) -> None:
        if (session := self._session) is None:
            raise BrokerAway("there is no connection yet")
        try:
            await session.publish(self._exchange, messages, routed=self._only_hints)
        except Unroutable:
            deleted = BrokerAway("a queue was deleted, and is made again")
            session.lose(deleted)  # the next one is prepared anew, within bounds; what is published again finds it
            raise deleted from None
        except NotConfirmed:
            if not self._only_hints:
                raise
            self._tell_full()

    def _tell_full(self) -> None:
        now = time.monotonic()
        if self._full_told_at is None or now - self._full_told_at >= FULL_QUEUE_TOLD_S:
            self._full_told_at = now
            log.warning("%s: a queue is full, what it does not take is found without it, later", self._exchange)


class _UnderWay(Struct, frozen=True):
    after: int
    batch: list[Recorded]
    confirmed: Future[None]


class PublishedLog:
    """Hands out events once the broker has confirmed what is published of them. For one follower's thread.

    While the broker is away, or takes nothing, it hands out nothing, publishes again with a growing pause, and never
    waits longer than CONFIRM_LOOK_S. What was refused, or too much to be confirmed in time, is published again in
    halves, so that a slow broker gets ahead, and who has got it already gets few copies. What a process published
    before it died, it or another one publishes again.
    """

    def __init__(self, log: Log, messages: Messages, publish: Publish, *, name: str, batch_events: int) -> None:
        self._log = log
        self._messages = messages
        self._publish = publish
        self._name = name
        self._most_events = self._batch_events = batch_events
        self._under_way: _UnderWay | None = None
        self._pause_s = RETRY_S[0]
        self._again_at = 0.0
        self._refused: type[BrokerError] | None = None  # of which the log output was told

    def read_log(self, *, after: int, limit: int) -> list[Recorded]:
        """As `EventStore.read_log`. There may be more than it returns, also where it returns nothing."""
        under_way = self._under_way
        if under_way is None or under_way.after != after:
            if time.monotonic() < self._again_at:
                return []
            batch = self._log.read_log(after=after, limit=min(limit, self._batch_events))
            messages = self._messages(batch)
            if not messages:
                return batch
            self._under_way = under_way = _UnderWay(after, batch, self._publish(messages))
        if not wait({under_way.confirmed}, CONFIRM_LOOK_S).done:
            return []
        self._under_way = None
        try:
            under_way.confirmed.result()
        except BrokerError as error:
            self._failed(error)
            return []
        self._succeeded()
        return under_way.batch

    def _failed(self, error: BrokerError) -> None:
        """An outage is told of by the link that is lost; what the broker refuses while it answers is told of here."""
        self._again_at = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, RETRY_S[1])
        if isinstance(error, BrokerSlow | NotConfirmed):
            self._batch_events = max(1, self._batch_events // 2)
        if not isinstance(error, BrokerAway) and type(error) is not self._refused:
            self._refused = type(error)
            log.warning("%s waits: RabbitMQ has not taken what was published: %s", self._name, error)

    def _succeeded(self) -> None:
        self._pause_s = RETRY_S[0]
        self._batch_events = min(self._most_events, self._batch_events * 2)
        if self._refused is not None:
            self._refused = None
            log.info("%s goes on: RabbitMQ takes messages again", self._name)
