"""What operators do about orders that are held: list them, send parked ones again, settle those in doubt.

The table of duties says which orders are held; what is shown and done follows from each order as the log has it now.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from msgspec import Struct

from exchange_adapter.adapter_tables import AdapterTables, HeldQuery, HeldRow
from exchange_adapter.bounds import ACTIONS_AT_ONCE, MAX_ACTIONS
from exchange_adapter.held_orders import (
    HeldOrder,
    Told,
    is_held,
    not_placed_counts_after_s,
    not_placed_from,
    shown,
    told_by,
)
from exchange_adapter.policy import Limits, can_go_on
from exchange_adapter.refusals import InDoubt, TooEarly, WorkerLives
from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.errors import Refusal, UnknownOrder
from orders.domain.events import OrderEvent
from orders.domain.order import Order
from orders.domain.values import Delivery, Phase
from orders.eventstore.port import EventStoreError, StoreUnavailable
from orders.handlers import CommandHandler
from orders.parameters import existing_id

log = structlog.get_logger(__name__)


class Retry(Struct, frozen=True):
    """Send parked orders again."""

    reason: str


class Resolve(Struct, frozen=True):
    """Settle orders in doubt: a person knows whether the venue has them."""

    reason: str
    placed: bool


Action = Retry | Resolve


class Chosen(Struct, frozen=True, kw_only=True):
    """These orders; else those whose last attempt was the worker's; else all that need a person. Of the latter two
    those that the action applies to and that have not changed after position `until`, from the place on where the
    request before ended."""

    order_ids: tuple[str, ...] | None = None
    worker: str | None = None
    until: int | None = None
    after: int | None = None


class ActionResult(Struct, frozen=True, omit_defaults=True):
    """`result`: "retried", "resolved", "would be retried", "would be resolved", "refused", "unknown" (there is no such
    order), or "failed": `reason` says whether it may be done."""

    order_id: str
    result: str
    reason: str | None = None


class _Set(Struct, frozen=True):
    """The orders of a request. `as_of`: with this as `until` the same are chosen again, but those that changed since;
    None where they were named. `skipped` others go on by themselves. `next` is where the next request begins, where
    some are left."""

    order_ids: Sequence[str]
    as_of: int | None = None
    skipped: int = 0
    next: int | None = None


class ActionResults(Struct, frozen=True):
    """`as_of`, `skipped` and `next` are those of the orders' set."""

    results: list[ActionResult]
    as_of: int | None
    skipped: int
    next: int | None


class HeldPage(Struct, frozen=True):
    orders: list[HeldOrder]
    position: int
    next: int | None


class Operations:
    """For one event loop. `now` gives UTC times."""

    def __init__(
        self,
        handler: CommandHandler,
        tables: AdapterTables,
        limits: Limits,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._handler = handler
        self._tables = tables
        self._wait_s = not_placed_counts_after_s(handler.rules.venue, limits)
        self._new_id = new_id
        self._now = now
        self._free = asyncio.Semaphore(ACTIONS_AT_ONCE)
        """Orders that are read or acted on together: the threads are those of clients' requests."""

    async def held(self, query: HeldQuery) -> HeldPage:
        """Orders in doubt and parked, oldest first; what was settled, or has changed after `until`, is left out.

        Raises: StoreUnavailable, EventStoreError.
        """
        found = await self._tables.held(query)

        async def read(row: HeldRow) -> Told | None:
            async with self._free:
                return await self._told(row.order_id, query.until)

        told = await asyncio.gather(*map(read, found.rows))
        orders = [
            shown(one, row.last, self._handler.rules.catalogue, self._wait_s, needs_person=self._needs_person(row, one))
            for row, one in zip(found.rows, told, strict=True)
            if one is not None and is_held(one.order) and query.delivery in (None, one.order.delivery)
        ]
        return HeldPage(orders, found.position, found.next)

    async def act_on_one(self, text: str, action: Action, by: str, *, dry_run: bool) -> ActionResult:
        """Raises: UnknownOrder, InDoubt, TooEarly, NotApplicable, EventStoreError."""
        order_id = existing_id(text)
        told = await self._told(order_id)
        if told is None:
            raise UnknownOrder(text)
        done, would_be = ("retried", "would be retried")
        if isinstance(action, Resolve):
            done, would_be = ("resolved", "would be resolved")
        if dry_run:
            decide(told.order, self._command(told.order, told, action, by), self._handler.rules)
            return ActionResult(str(order_id), would_be)
        await self._handler.execute_all(order_id, lambda order: [self._command(order, told, action, by)])
        return ActionResult(str(order_id), done)

    async def act_on(self, chosen: Chosen, action: Action, by: str, *, dry_run: bool) -> ActionResults:
        """At most MAX_ACTIONS orders; of each what came of it. Raises: WorkerLives, StoreUnavailable."""
        found = await self._chosen(chosen, action)

        async def one(text: str) -> ActionResult:
            async with self._free:
                return await self._result(text, action, by, dry_run=dry_run)

        results = list(await asyncio.gather(*map(one, found.order_ids)))
        return ActionResults(results, found.as_of, found.skipped, found.next)

    async def _chosen(self, chosen: Chosen, action: Action) -> _Set:
        if chosen.order_ids is not None:
            return _Set(list(dict.fromkeys(chosen.order_ids)))
        if chosen.worker is not None and await self._tables.is_alive(chosen.worker):
            raise WorkerLives(chosen.worker)
        delivery = Delivery.IN_DOUBT if isinstance(action, Resolve) else Delivery.PARKED
        until, after = chosen.until, chosen.after
        page = await self.held(
            HeldQuery(delivery=delivery, worker=chosen.worker, until=until, limit=MAX_ACTIONS, after=after)
        )
        orders = [order for order in page.orders if chosen.worker is not None or order.needs_person]
        as_of = page.position if until is None else min(until, page.position)
        return _Set([str(order.order_id) for order in orders], as_of, len(page.orders) - len(orders), page.next)

    def _needs_person(self, row: HeldRow, told: Told) -> bool:
        """Nothing can be tried for it, or what was tried long enough came to nothing."""
        order, venue = told.order, self._handler.rules.venue
        return row.alerted or not can_go_on(venue, order.delivery, cancel=order.pending_cancel is not None)

    async def _result(self, text: str, action: Action, by: str, *, dry_run: bool) -> ActionResult:
        try:
            return await self.act_on_one(text, action, by, dry_run=dry_run)
        except UnknownOrder as error:
            return ActionResult(text, "unknown", str(error))
        except Refusal as error:
            return ActionResult(text, "refused", str(error))
        except StoreUnavailable:
            return ActionResult(text, "failed", "The database did not answer: it may be done or not")
        except EventStoreError as error:
            log.warning("an operator's action failed", order_id=text, error=str(error))
            return ActionResult(text, "failed", "The service could not do it now: ask again")

    def _command(self, order: Order, told: Told, action: Action, by: str) -> c.Command:
        """Raises: InDoubt, TooEarly, NotApplicable."""
        now = self._now()
        stamp: dict[str, Any] = {"order_id": order.id, "command_id": self._new_id(), "at": now, "by": by}
        in_doubt = order.phase is Phase.OPEN and order.delivery is Delivery.IN_DOUBT
        if isinstance(action, Retry):
            if in_doubt:
                raise InDoubt(order.id)
            return c.ResumePlacement(**stamp, reason=action.reason)
        counts_from = not_placed_from(order, told.claims, self._wait_s)
        if in_doubt and not action.placed and counts_from is not None and now < counts_from:
            raise TooEarly(order.id, math.ceil((counts_from - now).total_seconds()))
        return c.ResolveDoubt(**stamp, placed=action.placed, reason=action.reason)

    async def _told(self, order_id: UUID, until: int | None = None) -> Told | None:
        """None where there is no such order, or it has changed after `until`."""
        recorded = await self._handler.events_after(order_id, 0)
        if until is not None and recorded and recorded[-1].position > until:
            return None
        return told_by(order_id, [one.event for one in recorded if isinstance(one.event, OrderEvent)])
