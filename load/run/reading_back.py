"""After the load: what got no answer is asked again, some answered POSTs are repeated, and all orders are read back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from load.run.closing import Seen, last_words
from load.run.feed import Audience
from load.run.ledger import Ledger
from load.run.service import Service
from order_client import AsyncOrderClient, InDoubt, Order, Refused, Trade, Unreachable

ASK_AGAIN_S = 60.0  # of one order without an answer: above the service's own 8 s of a commit
REPEATED = 100  # POSTs that were answered and are sent again
CLOCKS = timedelta(seconds=60)  # by which the service's clock may differ from ours: orders since then are read
TOLD_S = 30.0  # after the last event, until every socket has heard it
AT_ONCE = 8  # of those that are asked again
POLL_S = 0.1


async def ask_again(client: AsyncOrderClient, ledger: Ledger) -> dict[str, str]:
    """Sends the POSTs without an answer again, under their keys, and some of those that have one. The order ids that
    came, by key; what still has no answer stays so in the ledger."""
    answered = [key for key, sent in ledger.orders.items() if sent.order_id]
    keys = iter([*ledger.unanswered, *answered[:: max(1, len(answered) // REPEATED)][:REPEATED]])
    found: dict[str, str] = {}

    async def ask() -> None:
        for key in keys:
            terms = msgspec.json.decode(ledger.orders[key].body)
            try:
                order = await client.place(timeout_s=ASK_AGAIN_S, **terms)
            except Refused as refused:
                ledger.answered(key, refused.status, "")
            except (InDoubt, Unreachable):
                continue
            else:
                found[key] = str(order.order_id)
                ledger.answered(key, 200, found[key])

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return found


async def read_back(
    client: AsyncOrderClient,
    service: Service,
    audience: Audience,
    repeats: Mapping[str, str],
    *,
    prefix: str,
    since: datetime,
    after: int,
    answered: int,
) -> Seen:
    """Orders with a key of the load that were placed `since`, and their trades `after` a position, both as fresh as
    what the sockets have heard and as the highest position that was `answered`: the API process that is asked now may
    be another one. The sockets get time to hear the same. Raises OrderClientError, ExchangeError."""
    fresh = max(client.position, answered, *(record.position for record in audience.records))
    listing = client.list(placed_after=since - CLOCKS, min_position=fresh)
    orders: list[Order] = [order async for order in listing if (order.client_order_id or "").startswith(prefix)]
    ids = {order.order_id for order in orders}
    trades: list[Trade] = []
    async for trade in client.trades(min_position=fresh):
        if trade.position <= after:
            break
        if trade.order_id in ids:
            trades.append(trade)
    await _told(audience, orders)
    journal = await asyncio.to_thread(service.journal)
    return Seen(orders=orders, trades=trades, repeats=dict(repeats), exchange=journal)


async def _told(audience: Audience, orders: list[Order]) -> None:
    """Waits until every socket has heard of all; what is still missing then, the balance says."""
    words = last_words(orders)
    give_up_at = asyncio.get_running_loop().time() + TOLD_S
    while audience.behind(words) and asyncio.get_running_loop().time() < give_up_at:
        await asyncio.sleep(POLL_S)
