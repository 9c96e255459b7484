"""Tells the events of one decision, and what follows from each for requests that wait.

Most of the races of an order at an unreliable venue are settled here, by one rule (`_consequences`): what a held or
pending cancel or replace becomes when the order's submit is settled, or the order is filled.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid5

from msgspec.structs import replace

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.errors import VenueCannot
from orders.domain.order import Order, PendingReplace, evolve, view
from orders.domain.terms import Rules
from orders.domain.values import VENUES_WORD, Delivery, Evidence, OrderView, Phase

TOO_LATE = "too late: the order is already executed"
_NOT_YET = OrderView(account="", symbol="", quantity=0)


class Story:
    """The events of one decision, told one by one, each with the order as it is after it."""

    def __init__(self, order: Order, command: c.Command, rules: Rules) -> None:
        self.order = order
        self.venue = rules.venue
        self.catalogue = rules.catalogue
        self.events: list[e.AnyOrderEvent] = []
        self._command = command

    def tell(self, kind: type[e.AnyOrderEvent], **fields: Any) -> None:
        """Adds an event and what follows from it for requests that wait."""
        before, event = self.order, self._event(kind, fields)
        self.order = evolve(before.id, before, event)
        self.events.append(replace(event, after=view(self.order)))
        _consequences(self, before, event)

    def _event(self, kind: type[e.AnyOrderEvent], fields: dict[str, Any]) -> e.AnyOrderEvent:
        command, number = self._command, len(self.events)
        event_id = uuid5(command.command_id, str(number)) if number else command.command_id
        return kind(
            event_id=event_id,
            at=command.at,
            by=command.by,
            trace_id=command.trace_id,
            after=_NOT_YET,
            **fields,
        )


def _consequences(story: Story, before: Order, event: e.AnyOrderEvent) -> None:
    """What a held or pending cancel or replace becomes after `event`.

    - the order is filled: both are rejected, too late; more than the old quantity is filled: the larger one came first;
    - the submit is settled as not there: the cancel ends the order, a replace applies, no attempt is made on old terms;
    - the submit is settled as there, at a venue that cannot do it: rejected.
    """
    after = story.order
    cancel, change = before.pending_cancel, before.pending_replace
    if cancel is None and change is None:
        return
    if after.phase is Phase.FILLED:
        if change is not None and not isinstance(event, e.ReplaceReplies):
            _settle_change(story, change, before, event)
        if cancel is not None and not isinstance(event, e.CancelReplies) and story.order.phase is Phase.FILLED:
            story.tell(e.CancelRejected, evidence=_word(event), reason=TOO_LATE, request_id=cancel)
    elif after.phase is Phase.OPEN and before.delivery is not after.delivery:
        if after.delivery is Delivery.QUEUED:
            _apply_held(story)
        elif after.delivery is Delivery.ACKED:
            _reject_impossible(story)


def _settle_change(story: Story, change: PendingReplace, before: Order, event: e.AnyOrderEvent) -> None:
    """Fills beyond the old quantity were made on the larger one; otherwise the request came too late."""
    if before.quantity < min(change.quantity, story.order.filled):
        _carry_out(story, change, _word(event))
    else:
        story.tell(e.ReplaceRejected, evidence=_word(event), reason=TOO_LATE, request_id=change.request_id)


def _carry_out(story: Story, change: PendingReplace, evidence: Evidence) -> None:
    story.tell(
        e.OrderReplaced,
        quantity=change.quantity,
        limit_price=change.limit_price,
        evidence=evidence,
        request_id=change.request_id,
    )


def _apply_held(story: Story) -> None:
    cancel, change = story.order.pending_cancel, story.order.pending_replace
    if cancel is not None:
        story.tell(e.OrderCanceled, evidence=Evidence.NEVER_PLACED, request_id=cancel)
    elif change is not None:
        _carry_out(story, change, Evidence.NEVER_PLACED)


def _reject_impossible(story: Story) -> None:
    change = story.order.pending_replace
    if change is not None and not story.venue.replaces:
        reason = str(VenueCannot("replace"))
        story.tell(e.ReplaceRejected, evidence=Evidence.VENUE_CANNOT, reason=reason, request_id=change.request_id)
    cancel = story.order.pending_cancel
    if cancel is not None and not story.venue.cancels:
        reason = str(VenueCannot("cancel"))
        story.tell(e.CancelRejected, evidence=Evidence.VENUE_CANNOT, reason=reason, request_id=cancel)


def _word(event: e.AnyOrderEvent) -> Evidence:
    """How the venue said what made the order filled; busts and corrections are reports, and say no more."""
    evidence = getattr(event, "evidence", None)
    return evidence if evidence in VENUES_WORD else Evidence.VENUE_REPORT
