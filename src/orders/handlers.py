"""Load, decide, append, and again when the stream has moved on.

`CommandHandler` is what every giver of commands shares (API, adapter, other doors). It keeps the orders folded lately
by version, so that an order with ten thousand fills is not folded anew for each; a stale one costs a conflict and a
read of what is new, never a wrong decision.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from orders.bounds import (
    APPEND_TIMEOUT_S,
    CACHED_FILLS,
    CACHED_ORDERS,
    COMMAND_ATTEMPTS,
    MAX_STREAM_READ,
    ORDERS_A_TURN,
)
from orders.domain.commands import Command, PlaceOrder
from orders.domain.decide import decide, tell
from orders.domain.errors import InvalidOrder, KeyReused, Refusal, UnknownOrder
from orders.domain.events import AnyEvent, AnyOrderEvent, OrderEvent, OrderPlaced
from orders.domain.order import Order, evolve
from orders.domain.terms import Rules
from orders.event_lines import log_events
from orders.eventstore.port import Appended, Conflict, EventStore, EventStoreError, Recorded, StoreUnavailable, Unit
from orders.eventstore.read_threads import ReadThreads

MakeCommands = Callable[[Order], Sequence[Command]]


class Appender(Protocol):
    """Makes units durable; `orders.eventstore.group_commit.Writer` is the one in use."""

    async def append(self, unit: Unit) -> Appended | Conflict: ...

    async def append_whole(self, units: Sequence[Unit]) -> list[Appended | Conflict]:
        """All in one commit; one answer each, in order."""
        ...


class Done(Struct, frozen=True):
    """`order` is the order after the command, `events` what it added (empty: it changed nothing)."""

    order: Order
    events: tuple[Recorded, ...]


class Placed(Struct, frozen=True):
    """`last` is the order's last event; `repeated`: the key named it before."""

    last: Recorded
    repeated: bool


NotPlaced = Refusal | EventStoreError
"""Why an order of many was not placed: refused, or not known to be placed since the log could not be read."""


class FoldedOrders:
    """The orders folded lately, bounded, their fills too; the least recently used one leaves first."""

    def __init__(self, limit: int = CACHED_ORDERS, fills: int = CACHED_FILLS) -> None:
        self._orders: OrderedDict[UUID, Order] = OrderedDict()
        self._limit = limit
        self._most_fills = fills
        self._fills = 0

    def get(self, order_id: UUID) -> Order | None:
        order = self._orders.get(order_id)
        if order is not None:
            self._orders.move_to_end(order_id)
        return order

    def keep(self, order: Order) -> None:
        kept = self._orders.get(order.id)
        if kept is not None and kept.version > order.version:
            return
        self._orders[order.id] = order
        self._orders.move_to_end(order.id)
        self._fills += order.executions.held - (0 if kept is None else kept.executions.held)
        while len(self._orders) > self._limit or (self._fills > self._most_fills and len(self._orders) > 1):
            _, oldest = self._orders.popitem(last=False)
            self._fills -= oldest.executions.held


class CommandHandler:
    """Runs on an event loop; reads of the store run in `threads`."""

    def __init__(self, store: EventStore, appender: Appender, rules: Rules, threads: ReadThreads) -> None:
        self.rules = rules
        self._store = store
        self._appender = appender
        self._threads = threads
        self._folded = FoldedOrders()

    async def place(self, command: PlaceOrder) -> Placed:
        """Durable when it returns. With a key that named an order before: that order as it is now.

        Raises: InvalidOrder, KeyReused, EventStoreError.
        """
        try:
            events = decide(None, command, self.rules)
        except InvalidOrder:
            repeated = await self._named_before(command)
            if repeated is None:
                raise
            return repeated
        answer = await self._appender.append(Unit(command.order_id, 0, tuple(events)))
        if isinstance(answer, Appended):
            placed = evolve(command.order_id, None, events[0])
            self._folded.keep(placed)
            return Placed(_recorded(command.order_id, answer, 0, events)[-1], repeated=False)
        repeated = await self._named_before(command)
        if repeated is None:
            raise StoreUnavailable(f"order {command.order_id} is in conflict, and cannot be read")
        return repeated

    async def place_all(self, commands: Sequence[PlaceOrder]) -> list[Placed | NotPlaced]:
        """Many orders in one commit; one answer each, in order, as `place` would give it to one after the other. Two
        commands with one order id have one key: the second is a repeat of the first.

        Raises: EventStoreError where none is known to be placed.
        """
        numbers: dict[UUID, int] = {}  # of each order's unit
        first: list[PlaceOrder] = []  # the command of each unit
        units: list[Unit] = []
        refused: dict[int, InvalidOrder] = {}
        for index, command in enumerate(commands):
            if (index + 1) % ORDERS_A_TURN == 0:
                await asyncio.sleep(0)  # others get their turn
            if command.order_id in numbers:
                continue
            try:
                units.append(Unit(command.order_id, 0, tuple(decide(None, command, self.rules))))
            except InvalidOrder as refusal:
                refused[index] = refusal
            else:
                numbers[command.order_id] = len(first)
                first.append(command)
        # Before the append: a key that only a later command takes does not name these.
        known = await self._look_up([(index, commands[index]) for index in refused])
        answers = await self._appender.append_whole(units)
        told: list[Placed | NotPlaced | None] = []
        for index, command in enumerate(commands):
            if index in refused:
                told.append(known.get(index) or refused[index])
                continue
            number = numbers[command.order_id]
            told.append(_of_the_first(command, first[number], units[number], answers[number]))
        taken = await self._look_up([(index, commands[index]) for index, one in enumerate(told) if one is None])
        lost = StoreUnavailable("an order is in conflict, and cannot be read")
        return [one or taken.get(index) or lost for index, one in enumerate(told)]

    async def execute(self, command: Command) -> Done:
        """Raises: the command's Refusal, EventStoreError."""
        return await self.execute_all(command.order_id, lambda order: [command])

    async def execute_all(self, order_id: UUID, make: MakeCommands) -> Done:
        """Several commands of one order as one unit: `make` is asked again each time the order has moved on.

        It starts from the order as folded last; a refusal, or nothing to do, is believed of the present order only.

        Raises: UnknownOrder, the first command's Refusal, EventStoreError.
        """
        folded = self._folded.get(order_id)
        order, is_present = (folded, False) if folded is not None else (await self.current(order_id), True)
        for _ in range(COMMAND_ATTEMPTS):
            try:
                events, after = self._decided(order, make)
            except Refusal:
                if is_present:
                    raise
            else:
                if events:
                    answer = await self._appender.append(Unit(order_id, order.version, tuple(events)))
                    if isinstance(answer, Appended):
                        self._folded.keep(after)
                        return Done(after, tuple(_recorded(order_id, answer, order.version, events)))
                elif is_present:
                    return Done(order, ())
            order, is_present = await self.current(order_id), True
        raise StoreUnavailable(f"order {order_id} changed {COMMAND_ATTEMPTS} times while a command was decided")

    async def execute_folded(self, made: Mapping[UUID, MakeCommands]) -> dict[UUID, Done]:
        """Many orders' commands in one commit, as far as that goes: without the orders that are not folded yet, have
        moved on, refuse or have nothing to do. Those are for `execute_all`.

        Raises: EventStoreError.
        """
        units: list[Unit] = []
        after: list[Order] = []
        for order_id, make in made.items():
            order = self._folded.get(order_id)
            if order is None:
                continue
            try:
                events, changed = self._decided(order, make)
            except Refusal:
                continue
            if events:
                units.append(Unit(order_id, order.version, tuple(events)))
                after.append(changed)
        done: dict[UUID, Done] = {}
        for unit, order, answer in zip(units, after, await self._appender.append_whole(units), strict=True):
            if isinstance(answer, Appended):
                self._folded.keep(order)
                recorded = _recorded(unit.stream_id, answer, unit.expected_version, unit.events)
                done[unit.stream_id] = Done(order, tuple(recorded))
        return done

    async def load(self, order_id: UUID) -> Order:
        """The order, possibly a little behind the log. Raises UnknownOrder."""
        order = self._folded.get(order_id)
        if order is None:
            order = await self._fold(order_id, None)
        if order is None:
            raise UnknownOrder(order_id)
        return order

    async def current(self, order_id: UUID) -> Order:
        """The order as the log has it now. Raises UnknownOrder."""
        order = await self._fold(order_id, self._folded.get(order_id))
        if order is None:
            raise UnknownOrder(order_id)
        return order

    def know(self, order: Order) -> None:
        """An order as its events made it, which the caller has read: `load` need not read them again."""
        self._folded.keep(order)

    async def last(self, order_id: UUID) -> Recorded | None:
        """The order's last event, straight from the log."""
        return await self._threads.run(lambda: self._store.read_last(order_id))

    async def events_after(self, order_id: UUID, version: int) -> list[Recorded]:
        return await self._threads.run(lambda: self._store.read_stream(order_id, after_version=version))

    def _decided(self, order: Order, make: MakeCommands) -> tuple[list[AnyOrderEvent], Order]:
        events: list[AnyOrderEvent] = []
        for command in make(order):
            story = tell(order, command, self.rules)
            events += story.events
            order = story.order
        return events, order

    async def _fold(self, order_id: UUID, order: Order | None) -> Order | None:
        """In pages, so that an order of any length costs bounded memory."""
        while True:
            version = 0 if order is None else order.version
            read = partial(self._store.read_stream, order_id, after_version=version, limit=MAX_STREAM_READ)
            page = await self._threads.run(read)
            for recorded in page:
                assert isinstance(recorded.event, OrderEvent)
                order = evolve(order_id, order, recorded.event)
            if len(page) < MAX_STREAM_READ:
                break
        if order is not None:
            self._folded.keep(order)
        return order

    async def _named_before(self, command: PlaceOrder) -> Placed | None:
        """The order that the key named before. Raises KeyReused where its content was another."""
        if command.client_order_id is None:
            return None
        return await self._threads.run(lambda: self._read_named(command))

    async def _look_up(self, asked: Sequence[tuple[int, PlaceOrder]]) -> dict[int, Placed | NotPlaced]:
        """What the keys of these commands named before, by index; of the log's errors each is one command's own. In one
        thread, so that others are left for those who ask for one order, and not for long: once the log is away, or
        APPEND_TIMEOUT_S after the beginning, the rest is not asked for."""
        keyed = [(index, command) for index, command in asked if command.client_order_id is not None]
        give_up_at = time.monotonic() + APPEND_TIMEOUT_S

        def look_up() -> dict[int, Placed | NotPlaced]:
            found: dict[int, Placed | NotPlaced] = {}
            away: StoreUnavailable | None = None
            for index, command in keyed:
                if away is None and time.monotonic() > give_up_at:
                    away = StoreUnavailable(f"the keys were not all looked up within {APPEND_TIMEOUT_S:g} s")
                if away is not None:
                    found[index] = away
                    continue
                try:
                    named = self._read_named(command)
                except StoreUnavailable as error:
                    found[index] = away = error
                except (KeyReused, EventStoreError) as error:
                    found[index] = error
                else:
                    if named is not None:
                        found[index] = named
            return found

        if not keyed:
            return {}
        try:
            return await self._threads.run(look_up)
        except EventStoreError as error:  # it did not begin: what is placed already keeps its answer
            return {index: error for index, _ in keyed}

    def _read_named(self, command: PlaceOrder) -> Placed | None:
        """In a thread. Raises KeyReused."""
        assert command.client_order_id is not None
        first = self._store.read_stream(command.order_id, limit=1)
        if not first or not isinstance(first[0].event, OrderPlaced):
            return None
        if evolve(command.order_id, None, first[0].event).placed != command.terms:
            raise KeyReused(command.client_order_id, command.order_id)
        last = self._store.read_last(command.order_id)
        assert last is not None
        return Placed(last, repeated=True)


def _of_the_first(
    command: PlaceOrder, first: PlaceOrder, unit: Unit, answer: Appended | Conflict
) -> Placed | KeyReused | None:
    """What a command is told where the first one with its order id was placed in the same commit; else None."""
    if isinstance(answer, Conflict):
        return None
    if command is first or command.terms == first.terms:
        return Placed(_recorded(unit.stream_id, answer, 0, unit.events)[-1], repeated=command is not first)
    assert command.client_order_id is not None
    return KeyReused(command.client_order_id, command.order_id)


def _recorded(order_id: UUID, answer: Appended, version: int, events: Sequence[AnyEvent]) -> list[Recorded]:
    recorded = [
        Recorded(answer.position + index, order_id, version + index + 1, event) for index, event in enumerate(events)
    ]
    log_events(recorded)
    return recorded
