"""Who follows the log, and which part of the service runs whom."""

from __future__ import annotations

from event_relay import EVENTS_FOLLOWER, WORK_FOLLOWER
from exchange_adapter.work.duties import FOLLOWER as DUTIES
from order_service.configuration.settings import Settings
from orders.hash_chain import FOLLOWER as HASH_CHAIN
from projections.registry import PROJECTIONS

_PARTS = {DUTIES: "adapter", WORK_FOLLOWER: "relay", EVENTS_FOLLOWER: "relay"}


def followers(settings: Settings) -> list[str]:
    """Those that there should be: the relay's only where there is one."""
    relayed = [WORK_FOLLOWER] if settings.amqp_url else []
    published = [EVENTS_FOLLOWER] if settings.amqp_url and settings.integration_events else []
    return [*(projection.name for projection in PROJECTIONS), DUTIES, HASH_CHAIN, *relayed, *published]


def part_of(follower: str) -> str:
    """Who runs it: `orders PART`."""
    return _PARTS.get(follower, "projector")
