"""Appending to a long log against appending to a short one.

Two databases on one PostgreSQL (fsync on), each behind the product's own store: one with a million events, one with ten
thousand. They are appended to in turns: one event at a time, and a hundred in a commit. Half of the orders have keys,
and with them ids in no order of time.
"""

from __future__ import annotations

import random
import time
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import psycopg
import uuid_utils
from msgspec import Struct
from psycopg import sql

from load.results import Contest, Pair
from load.servers import Stage
from order_service.migrations import migrate
from orders.eventstore.port import EncodedUnit
from orders.eventstore.postgres import PostgresEventStore

STATE = bytes(450)  # an OrderPlaced has about as many
TOPIC = "OrderPlaced.v1"
WARM_UP_APPENDS = 20  # statements prepared, pages of the indexes read
FILL = """
insert into public.order_events (notification_id, originator_id, originator_version, topic, state)
select position,
    case when position %% 2 = 0 then gen_random_uuid()
    else (lpad(to_hex(1700000000000 + position), 12, '0') || substr(md5(position::text), 1, 20))::uuid end,
    1, %s, %s
from generate_series(1, %s) as position
"""


class Plan(Struct, frozen=True, kw_only=True):
    rounds: int = 5
    long: int = 1_000_000
    short: int = 10_000
    appends: int = 100  # of each size and each log in a turn
    batch: int = 100  # events in one of the larger appends


def measure(plan: Plan, stage: Stage) -> list[Contest]:
    dice = random.Random(1)
    with _Log(stage.url, "long", plan.long) as long, _Log(stage.url, "short", plan.short) as short:
        contests = []
        for events in (1, plan.batch):
            for log in (long, short):
                log.append(WARM_UP_APPENDS, events, dice)
            pairs = []
            for _ in range(plan.rounds):
                product = log_rate(long, plan.appends, events, dice)
                pairs.append(Pair(product=product, against=log_rate(short, plan.appends, events, dice)))
            contests.append(_contest(plan, events, pairs))
        return contests


def _contest(plan: Plan, events: int, pairs: list[Pair]) -> Contest:
    return Contest(
        name="growth",
        product=f"appends of {events} at {plan.long:,}",
        against=f"at {plan.short:,}",
        unit="events/s",
        setting=f"{plan.rounds} x 2 turns of {plan.appends} appends to logs of {plan.long:,} and {plan.short:,} events",
        pairs=pairs,
    )


def log_rate(log: _Log, appends: int, events: int, dice: random.Random) -> float:
    """Events a second."""
    began = time.perf_counter()
    log.append(appends, events, dice)
    return appends * events / (time.perf_counter() - began)


class _Log:
    """A database of its own with so many events."""

    def __init__(self, server_url: str, name: str, events: int) -> None:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL, (TOPIC, STATE, events))
            connection.execute("vacuum (analyze) public.order_events")
        self._store = PostgresEventStore(url, application_name="load")

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def append(self, appends: int, events: int, dice: random.Random) -> None:
        for _ in range(appends):
            self._store.append_encoded([_order(dice) for _ in range(events)])


def _order(dice: random.Random) -> EncodedUnit:
    order_id = UUID(int=dice.getrandbits(128)) if dice.random() < 0.5 else UUID(int=uuid_utils.uuid7().int)
    return EncodedUnit(order_id, 0, (TOPIC,), (STATE,), len(STATE))
