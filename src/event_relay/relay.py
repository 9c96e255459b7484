"""The relay's process: followers of the log that publish, each over a connection of its own.

event log ──▶ published log ──▶ follower (its checkpoint: what RabbitMQ has confirmed)
                   │
                   └──▶ outlet ──▶ RabbitMQ

Adapter work and integration events are parted, down to the connection: RabbitMQ slows a connection down as a whole, and
what other services do with their events must not delay an order. Of several relays one publishes, the others stand by
for the followers' locks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event, Thread
from typing import Any

from msgspec import Struct

from event_relay import EVENTS_FOLLOWER, WORK_FOLLOWER
from event_relay.bounds import EVENT_BATCH, STOP_TIMEOUT_S, WORK_BATCH_EVENTS
from event_relay.integration_events import EVENTS_EXCHANGE, integration_messages
from event_relay.published_log import Messages, Outlet, PublishedLog
from event_relay.work_hints import WorkHints
from orders.broker.bounds import CLOSE_TIMEOUT_S
from orders.broker.link import Session, declare_work, keep_connected
from orders.broker.topology import WORK_EXCHANGE
from orders.domain.instruments import Catalogue
from orders.eventstore.port import EventStore, Recorded
from orders.eventstore.subscription import Hints
from orders.follower import Cursor, Follower

log = logging.getLogger(__name__)


class RelayConfig(Struct, frozen=True, kw_only=True):
    """`direct_url` reaches PostgreSQL without a pooler: locks need a session. Integration events are published where
    `integration_events` says so; `source` is what they name as their origin."""

    amqp_url: str
    direct_url: str
    catalogue: Catalogue
    integration_events: bool = False
    source: str = "order-service"


def run_relay(
    config: RelayConfig, *, store: EventStore, hints: Hints, stop: Event, ready: Callable[[], None] = lambda: None
) -> None:
    """Publishes until `stop` is set. Calls `ready` at once: a broker that is away holds up nothing but its messages.

    The caller closes the store and the hints. Ends within STOP_TIMEOUT_S of the stop and the time to say goodbye.
    """
    asyncio.run(_Relay(config, store, hints).run(stop, ready))


class _Relay:
    """Built on its event loop."""

    def __init__(self, config: RelayConfig, store: EventStore, hints: Hints) -> None:
        self._config = config
        self._store = store
        self._hints = hints
        self._stopping = asyncio.Event()
        self._links: list[asyncio.Future[None]] = []
        self._threads: list[Thread] = []

    async def run(self, stop: Event, ready: Callable[[], None]) -> None:
        work = WorkHints(self._store.head, batch_events=WORK_BATCH_EVENTS)
        outlet = Outlet(WORK_EXCHANGE, declare_work, only_hints=True)
        self._follow(WORK_FOLLOWER, outlet, work, WORK_BATCH_EVENTS, stop)
        if self._config.integration_events:
            events = integration_messages(self._config.catalogue, self._config.source)
            self._follow(
                EVENTS_FOLLOWER, Outlet(EVENTS_EXCHANGE, _declare_events, only_hints=False), events, EVENT_BATCH, stop
            )
        for thread in self._threads:
            thread.start()
        log.info("relay started: %s", " and ".join(thread.name for thread in self._threads))
        ready()
        try:
            await self._until(stop)
        finally:
            stop.set()
            await asyncio.gather(*(asyncio.to_thread(thread.join, STOP_TIMEOUT_S) for thread in self._threads))
            self._stopping.set()
            await asyncio.wait(self._links, timeout=2 * CLOSE_TIMEOUT_S)
            log.info("relay stopped")

    def _follow(self, name: str, outlet: Outlet, messages: Messages, batch_events: int, stop: Event) -> None:
        published = PublishedLog(self._store, messages, outlet, name=name, batch_events=batch_events)
        follower = Follower(
            name,
            published,
            self._config.direct_url,
            _nothing_to_write,
            self._hints,
            batch_events=batch_events,
            announced=False,  # nobody waits for it
        )
        self._threads.append(Thread(target=follower.run, args=(stop,), name=name, daemon=True))
        link = keep_connected(
            self._config.amqp_url,
            name,
            self._stopping,
            prepare=outlet.prepare,
            work=partial(outlet.work, stop=self._stopping),
        )
        self._links.append(asyncio.ensure_future(link))

    async def _until(self, stop: Event) -> None:
        """The stop, or the end of a link, which should never end: its error is raised then."""
        waiting = asyncio.ensure_future(asyncio.to_thread(stop.wait))
        ends: list[asyncio.Future[Any]] = [waiting, *self._links]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for link in self._links:
            if link.done():
                stop.set()
                link.result()


async def _declare_events(session: Session) -> None:
    await session.channel.declare_exchange(EVENTS_EXCHANGE, "topic", durable=True)


def _nothing_to_write(cursor: Cursor, batch: Sequence[Recorded]) -> None:
    """What this follower does has been done before it is handed the events (`PublishedLog`)."""
