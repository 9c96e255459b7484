"""Makes due what the broker's messages name.

A message is a hint: each order is loaded from the log, at least as new as the event that the hint is about, and put in
the window. The message is done once a turn has looked at all its orders: where a call follows, after its claim stands
in the log and before the call. What waits for something else (a retry's time, a person, an answer to a question) comes
from the table of duties.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from exchange_adapter.bounds import DATABASE_RETRY_S, INTAKE_HINTS, INTAKE_ROOM_POLL_S
from exchange_adapter.waiting import first_of
from exchange_adapter.work.duties import is_workable
from exchange_adapter.work.duty import Duty, duty_of
from exchange_adapter.work.in_hand import WorkInHand
from exchange_adapter.work.window import DutyWindow, is_unsent
from orders.broker.errors import UndecodableWork
from orders.broker.topology import Hint, decode_work
from orders.domain.errors import UnknownOrder
from orders.domain.values import Capabilities, Delivery
from orders.eventstore.port import AWAY, EventStoreError
from orders.handlers import CommandHandler

log = structlog.get_logger(__name__)

Named = tuple[WorkInHand, Hint]


class Intake:
    """For the loop's own thread. `wake` is called when the window has got something."""

    def __init__(
        self, *, handler: CommandHandler, window: DutyWindow, venue: Capabilities, wake: Callable[[], None]
    ) -> None:
        self.hints = 0
        """Taken from messages so far."""
        self.undecodable = 0
        """Messages that were no work messages."""
        self.told_to: dict[int, int] = {}
        """Up to which position messages have named the orders of each shard."""
        self._handler = handler
        self._window = window
        self._venue = venue
        self._wake = wake
        self._waiting: deque[WorkInHand] = deque()  # bounded by what the broker delivers without an answer
        self._named: deque[Named] = deque()  # by the messages decoded last, of which some orders are left
        self._arrived = asyncio.Event()

    def deliver(self, message: WorkInHand) -> None:
        self._waiting.append(message)
        self._arrived.set()

    async def run(self, stop: asyncio.Event) -> None:
        """In the order of their arrival, until `stop`; those that are left then are for others."""
        while not stop.is_set():
            self._arrived.clear()
            while (named := self._next()) and not stop.is_set():
                duties = await self._loaded(named, stop)
                for message, duty in duties:
                    await self._put(duty, message, stop)
                self._wake()
            await first_of(stop, self._arrived)

    def _next(self) -> list[Named]:
        """The next orders that messages name, of as many messages as it takes."""
        while len(self._named) < INTAKE_HINTS and self._waiting:
            self._decode(self._waiting.popleft())
        return [self._named.popleft() for _ in range(min(INTAKE_HINTS, len(self._named)))]

    def _decode(self, message: WorkInHand) -> None:
        if message.gone:
            return
        try:
            hints = decode_work(message.body).hints
        except UndecodableWork as error:
            self.undecodable += 1
            log.error("a message is no work message: it is put aside", shard=message.shard, error=str(error))
            message.bury()
            return
        message.names(len(hints))
        self._named += [(message, hint) for hint in hints]

    async def _loaded(self, named: list[Named], stop: asyncio.Event) -> list[tuple[WorkInHand, Duty]]:
        """Those of which a turn is to begin; the others are settled. While the database is away it waits."""
        away = False
        while not stop.is_set():
            named = [(message, hint) for message, hint in named if not message.gone]
            try:
                duties = await asyncio.gather(*(self._duty(message, hint) for message, hint in named))
            except AWAY as error:
                if not away:
                    log.warning("messages wait for the database", error=str(error))
                away = True
                await first_of(stop, timeout_s=DATABASE_RETRY_S[1])
            else:
                for (message, hint), duty in zip(named, duties, strict=True):
                    self.hints += 1
                    self.told_to[message.shard] = max(self.told_to.get(message.shard, 0), hint.position)
                    if duty is None:
                        message.settle()
                return [(message, duty) for (message, _), duty in zip(named, duties, strict=True) if duty is not None]
        return []

    async def _duty(self, message: WorkInHand, hint: Hint) -> Duty | None:
        """What is to be done now for the order, as the log has it now; None where that is nothing, or the order is of
        another shard than its message.

        Raises: StoreUnavailable, StoreOverloaded, StoreClosed.
        """
        try:
            order = await self._handler.current(hint.order_id)
        except AWAY:
            raise
        except (UnknownOrder, EventStoreError) as error:
            log.error("an order that a message names cannot be read", order_id=str(hint.order_id), error=str(error))
            return None
        duty = duty_of(order, hint.position)
        if duty is None or duty.shard != message.shard:
            return None
        return duty if is_workable(duty, self._venue) and begins_now(duty) else None

    async def _put(self, duty: Duty, message: WorkInHand, stop: asyncio.Event) -> None:
        """Waits while the window is full. It may be full for ever of orders that were sent and cannot be settled: so
        what is asked of one more such order is left to the table, and new orders need not wait behind it."""
        while not (message.gone or stop.is_set()):
            if self._window.put_named(duty, message):
                return
            if not is_unsent(duty):
                message.settle()
                return
            self._wake()
            await first_of(stop, timeout_s=INTAKE_ROOM_POLL_S)


def begins_now(duty: Duty) -> bool:
    """Whether a turn is to begin as soon as a message names the order: it was never tried since it was placed or
    resumed, or a client asks for something. All else has its time or its owner, which the table of duties knows."""
    fresh = duty.delivery is Delivery.QUEUED and duty.failures == 0
    return fresh or duty.pending_cancel or duty.pending_replace
