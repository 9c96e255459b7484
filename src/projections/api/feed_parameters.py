"""The query parameters of the feed, the same for /ws and /events."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from orders.domain.instruments import Catalogue
from orders.parameters import Parameters, whole_number
from projections.feed import CHANNELS, Subscription

LAST_EVENT_ID_HEADER = "Last-Event-ID"


def subscription_of(
    given: Iterable[tuple[str, str]], account: str, catalogue: Catalogue, *, last_event_id: str | None = None
) -> Subscription:
    """`last_event_id` is what an event source sends that comes back; it wins over `after`. Raises InvalidParameters."""
    parameters = Parameters(given)
    channels = (
        parameters.take("channels", _channels, f"a list of {', '.join(CHANNELS)}, each once") or Subscription().channels
    )
    symbol = parameters.take("symbol", lambda text: _traded(text, catalogue), "a symbol or code that is supported")
    subscription = Subscription(
        account=account,
        channels=channels,
        symbol=symbol,
        order_id=parameters.order_id("order_id"),
        detail=parameters.flag("detail"),
        after=parameters.position("after"),
        batch=parameters.flag("batch"),
    )
    if last_event_id:
        try:
            subscription = msgspec.structs.replace(subscription, after=whole_number(last_event_id))
        except ValueError:
            parameters.refuse(LAST_EVENT_ID_HEADER, "Last-Event-ID must be a position, as the stream's `id` gives it")
    parameters.check()
    return subscription


def _channels(text: str) -> frozenset[str]:
    named = text.split(",")
    if not set(named) <= set(CHANNELS) or len(set(named)) < len(named):
        raise ValueError(text)
    return frozenset(named)


def _traded(symbol: str, catalogue: Catalogue) -> str:
    # A filter that can never match would be silent for ever.
    if catalogue.find(symbol) is None:
        raise ValueError(symbol)
    return symbol
