"""Makes due what the broker's messages name.

A message is a hint: each order is loaded from the log, at least as new as the event that the hint is about, and put in
the window. The message is done once a turn has looked at all its orders: where a call follows, after its claim stands
in the log and before the call. What waits for something else (a retry's time, a person, an answer to a question) comes
from the table of duties.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

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
from orders.eventstore.port import EventStoreError, StoreClosed, StoreOverloaded, StoreUnavailable
from orders.handlers import CommandHandler

log = structlog.get_logger(__name__)

_AWAY = (StoreUnavailable, StoreOverloaded, StoreClosed)


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
        self._arrived = asyncio.Event()

    def deliver(self, message: WorkInHand) -> None:
        self._waiting.append(message)
        self._arrived.set()

    async def run(self, stop: asyncio.Event) -> None:
        """In the order of their arrival, until `stop`; those that are left then are for others."""
        while not stop.is_set():
            self._arrived.clear()
            while self._waiting and not stop.is_set():
                await self._take(self._waiting.popleft(), stop)
            await first_of(stop, self._arrived)

    async def _take(self, message: WorkInHand, stop: asyncio.Event) -> None:
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
        for begin in range(0, len(hints), INTAKE_HINTS):
            part = hints[begin : begin + INTAKE_HINTS]
            duties = await self._loaded(message, part, stop)
            self.hints += len(part)
            self.told_to[message.shard] = max(self.told_to.get(message.shard, 0), part[-1].position)
            for duty in duties:
                await self._put(duty, message, stop)
            self._wake()

    async def _loaded(self, message: WorkInHand, hints: Sequence[Hint], stop: asyncio.Event) -> list[Duty]:
        """Those of which a turn is to begin; the others are settled. While the database is away it waits."""
        away = False
        while not (message.gone or stop.is_set()):
            try:
                found = await asyncio.gather(*map(self._duty, hints))
            except _AWAY as error:
                if not away:
                    log.warning("messages wait for the database", error=str(error))
                away = True
                await first_of(stop, timeout_s=DATABASE_RETRY_S[1])
            else:
                duties = [duty for duty in found if duty is not None and duty.shard == message.shard]
                for _ in range(len(hints) - len(duties)):
                    message.settle()
                return duties
        return []

    async def _duty(self, hint: Hint) -> Duty | None:
        """What is to be done now for the order, as the log has it now; None where that is nothing.

        Raises: StoreUnavailable, StoreOverloaded, StoreClosed.
        """
        try:
            order = await self._handler.current(hint.order_id)
        except _AWAY:
            raise
        except (UnknownOrder, EventStoreError) as error:
            log.error("an order that a message names cannot be read", order_id=str(hint.order_id), error=str(error))
            return None
        duty = duty_of(order, hint.position)
        return duty if duty is not None and is_workable(duty, self._venue) and begins_now(duty) else None

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
