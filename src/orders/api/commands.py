"""What the command routes do, apart from HTTP: from a body's bytes to a durable event and the order as it is then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from msgspec import Struct

from orders.api.batch_reading import read_batch
from orders.api.errors import VenueRefused
from orders.api.order_fields import Placing, named_as_given, read_new_terms, read_placing
from orders.bounds import VENUE_WAIT_S
from orders.domain.commands import CancelOrder, Command, PlaceOrder, ReplaceOrder
from orders.domain.errors import InvalidOrder, OrderEnded, UnknownOrder
from orders.domain.events import (
    AnyEvent,
    CancelRejected,
    CancelRequested,
    OrderCanceled,
    OrderEvent,
    OrderReplaced,
    ReplaceRejected,
    ReplaceRequested,
)
from orders.domain.order import Order
from orders.domain.resource import OrderResource, resource
from orders.domain.values import Phase, Status, order_id_for_key
from orders.eventstore.port import EventStoreError, Recorded
from orders.handlers import CommandHandler, Done, NotPlaced, Placed
from orders.venue_reply import OrderChanges

C = TypeVar("C", bound=Command)

_REQUESTS = (CancelRequested, ReplaceRequested)
_REPLIES = (OrderCanceled, CancelRejected, OrderReplaced, ReplaceRejected)
_ENDED = {
    Status.EXECUTED: Phase.FILLED,
    Status.CANCELED: Phase.CANCELED,
    Status.REJECTED: Phase.REJECTED,
    Status.EXPIRED: Phase.EXPIRED,
}


class Caller(Struct, frozen=True):
    """Who asks: the account that its credentials say, and the trace that its request belongs to."""

    account: str
    trace_id: str | None = None

    @property
    def by(self) -> str:
        return f"client:{self.account}"


class Accepted(Struct, frozen=True, gc=False):
    """`repeated`: the key named it before; `pending`: the venue has not answered yet."""

    order: OrderResource
    repeated: bool = False
    pending: bool = False


class OrderCommands:
    """`new_id` makes time-ordered ids (UUIDv7), `now` UTC times."""

    def __init__(
        self,
        handler: CommandHandler,
        changes: OrderChanges,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
        default_symbol: str | None,
        venue_wait_s: float = VENUE_WAIT_S,
    ) -> None:
        self._handler = handler
        self._changes = changes
        self._new_id = new_id
        self._now = now
        self._default_symbol = default_symbol
        self._venue_wait_s = venue_wait_s

    def read(self, body: bytes, key: str | None, default_symbol: str | None = None) -> Placing:
        """What POST /orders asks for. Raises: MalformedBody, InvalidOrder."""
        return read_placing(body, key, self._handler.rules, self._default_symbol or default_symbol)

    async def read_all(self, body: bytes, key: str | None) -> Sequence[Placing | InvalidOrder]:
        """What POST /orders/batch asks for. Raises: MalformedBody, WrongFields."""
        return await read_batch(body, key, self._handler.rules, self._default_symbol)

    def order_id(self, caller: Caller, placing: Placing) -> UUID:
        """Derived from account and key, so that a repeat meets the first; without a key a new one."""
        return self._new_id() if placing.key is None else order_id_for_key(caller.account, placing.key)

    async def place(self, caller: Caller, order_id: UUID, placing: Placing) -> Accepted:
        """Raises: InvalidOrder, KeyReused, EventStoreError."""
        command = self._placing(caller, order_id, placing, self._now())
        try:
            placed = await self._handler.place(command)
        except InvalidOrder as refused:
            raise named_as_given(refused, placing.price_name) from None
        return Accepted(self._resource(placed.last), repeated=placed.repeated)

    async def place_all(self, caller: Caller, asked: Sequence[Placing | InvalidOrder]) -> list[Accepted | NotPlaced]:
        """All in one commit; one answer each, in order; what was refused on reading stays so. Raises: EventStoreError
        where none is known to be placed."""
        at = self._now()
        placings = [one for one in asked if isinstance(one, Placing)]
        commands = [self._placing(caller, self.order_id(caller, one), one, at) for one in placings]
        outcomes = zip(placings, await self._handler.place_all(commands), strict=True)
        return [one if isinstance(one, InvalidOrder) else self._told(*next(outcomes)) for one in asked]

    def _placing(self, caller: Caller, order_id: UUID, placing: Placing, at: datetime) -> PlaceOrder:
        return PlaceOrder(
            order_id=order_id,
            command_id=self._new_id(),
            at=at,
            by=caller.by,
            trace_id=caller.trace_id,
            account=caller.account,
            terms=placing.terms,
            client_order_id=placing.key,
        )

    def _told(self, placing: Placing, outcome: Placed | NotPlaced) -> Accepted | NotPlaced:
        if isinstance(outcome, Placed):
            return Accepted(self._resource(outcome.last), repeated=outcome.repeated)
        return named_as_given(outcome, placing.price_name) if isinstance(outcome, InvalidOrder) else outcome

    async def cancel(self, caller: Caller, order_id: UUID) -> Accepted:
        """Raises: UnknownOrder, OrderEnded, RequestPending, VenueCannot, VenueRefused, EventStoreError."""
        await self._require_own(caller, order_id)
        return await self._carry_out(self._command(CancelOrder, caller, order_id))

    async def replace(self, caller: Caller, order_id: UUID, body: bytes) -> Accepted:
        """Raises: what `cancel` does, and MalformedBody, InvalidOrder."""
        await self._require_own(caller, order_id)
        new = read_new_terms(body)
        command = self._command(ReplaceOrder, caller, order_id, quantity=new.quantity, limit_price=new.limit_price)
        try:
            return await self._carry_out(command)
        except InvalidOrder as refused:
            raise named_as_given(refused, new.price_name) from None

    async def _require_own(self, caller: Caller, order_id: UUID) -> None:
        if (await self._handler.load(order_id)).account != caller.account:
            raise UnknownOrder(order_id)

    async def _carry_out(self, command: Command) -> Accepted:
        done = await self._handler.execute(command)
        if done.events and isinstance(done.events[-1].event, _REQUESTS):
            return await self._wait_for_venue(done)
        if done.events:
            return Accepted(self._resource(done.events[-1]))
        return Accepted(await self._last(command.order_id))

    async def _wait_for_venue(self, done: Done) -> Accepted:
        request = done.events[-1]
        asked = request.event.event_id
        try:
            await self._changes.until(
                self._handler, request.stream_id, lambda order: not _waits(order, asked), self._venue_wait_s
            )
            later = await self._handler.events_after(request.stream_id, request.version)
        except EventStoreError:
            # The request itself is durable: what becomes of it, the order shows as soon as it can be read.
            return Accepted(self._resource(request), pending=True)
        return self._answered(request, later)

    def _answered(self, request: Recorded, later: list[Recorded]) -> Accepted:
        """What the order's events after the request say of it. Raises: OrderEnded, VenueRefused."""
        last = later[-1] if later else request
        assert isinstance(last.event, OrderEvent)
        status = last.event.after.status
        reply = next((one.event for one in reversed(later) if _replies(one.event, request.event)), None)
        wanted = isinstance(reply, OrderReplaced) or (
            isinstance(request.event, CancelRequested) and status is Status.CANCELED
        )
        if wanted:
            return Accepted(self._resource(last))
        if status is not Status.PLACED:
            raise OrderEnded(request.stream_id, _ENDED[status])
        if isinstance(reply, CancelRejected | ReplaceRejected):
            raise VenueRefused(reply.reason)
        return Accepted(self._resource(last), pending=True)

    def _command(self, kind: type[C], caller: Caller, order_id: UUID, **terms: object) -> C:
        return kind(
            order_id=order_id,
            command_id=self._new_id(),
            at=self._now(),
            by=caller.by,
            trace_id=caller.trace_id,
            **terms,
        )

    async def _last(self, order_id: UUID) -> OrderResource:
        last = await self._handler.last(order_id)
        if last is None:
            raise UnknownOrder(order_id)
        return self._resource(last)

    def _resource(self, recorded: Recorded) -> OrderResource:
        event = recorded.event
        assert isinstance(event, OrderEvent)
        return resource(
            recorded.stream_id,
            event.after,
            self._handler.rules.catalogue,
            version=recorded.version,
            position=recorded.position,
            updated_at=event.at,
        )


def _waits(order: Order, request_id: UUID) -> bool:
    pending = order.pending_replace
    return order.pending_cancel == request_id or (pending is not None and pending.request_id == request_id)


def _replies(event: AnyEvent, request: AnyEvent) -> bool:
    return isinstance(event, _REPLIES) and event.request_id == request.event_id
