"""What an API process knows of keys: how soon it notices a revocation, and what it costs the database."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from order_service.security import known_keys
from order_service.security.api_keys import NewKey, StoredKey, key_id_of, new_key, opens
from order_service.security.bounds import KEY_FRESH_S, KEY_KEPT_S, KEY_USED_EVERY_S
from order_service.security.known_keys import KnownKeys
from order_service.security.principal import Principal
from orders.eventstore.port import StoreOverloaded, StoreUnavailable

pytestmark = pytest.mark.anyio


class Table:
    """Counts what it is asked; holds an answer back while `open` is not set."""

    def __init__(self) -> None:
        self.keys: dict[str, StoredKey] = {}
        self.asked: list[set[str]] = []
        self.used_keys: list[set[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.away = False

    def add(self, account: str = "alice") -> NewKey:
        key = new_key()
        principal = Principal(account=account, scopes=frozenset({"read"}), key_id=key.key_id)
        self.keys[key.key_id] = StoredKey(principal, key.digest)
        return key

    async def holding(self, key_ids: Collection[str]) -> Mapping[str, StoredKey]:
        self.asked.append(set(key_ids))
        await self.open.wait()
        if self.away:
            raise StoreUnavailable("the database is away")
        return {key_id: self.keys[key_id] for key_id in key_ids if key_id in self.keys}

    async def used(self, key_ids: Collection[str]) -> None:
        self.used_keys.append(set(key_ids))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def table() -> Table:
    return Table()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(table: Table, clock: Clock) -> KnownKeys:
    return KnownKeys(table, clock)


def test_a_key_opens_with_its_own_secret_only() -> None:
    one, other = new_key(), new_key()
    stored = StoredKey(Principal(account="a", scopes=frozenset()), one.digest)
    assert opens(one.text, stored)
    assert not opens(other.text, stored)
    assert not opens(one.text[:-1] + ("A" if one.text[-1] != "A" else "B"), stored)
    assert key_id_of(one.text) == one.key_id
    assert key_id_of(one.text + "x") is None
    assert key_id_of("orders_") is None
    assert one.text.startswith("orders_"), "secret scanners find it by this"
    assert len(one.text.split("_", 2)[2]) == 43, "256 bits in base64url"


async def test_a_key_in_use_is_asked_for_once_and_again_after_a_second(
    keys: KnownKeys, table: Table, clock: Clock
) -> None:
    key = table.add()
    for _ in range(100):
        assert await keys.principal(key.text) == table.keys[key.key_id].principal
    assert len(table.asked) == 1
    clock.now += KEY_FRESH_S
    assert await keys.principal(key.text) is not None
    assert len(table.asked) == 2


async def test_a_revoked_key_is_refused_within_the_bound(keys: KnownKeys, table: Table, clock: Clock) -> None:
    key = table.add()
    assert await keys.principal(key.text) is not None
    del table.keys[key.key_id]
    clock.now += KEY_FRESH_S
    assert await keys.principal(key.text) is None


async def test_the_age_of_an_answer_counts_from_the_question(keys: KnownKeys, table: Table, clock: Clock) -> None:
    key = table.add()
    table.open.clear()
    waiting = asyncio.create_task(keys.principal(key.text))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert table.asked
    clock.now += KEY_FRESH_S
    table.open.set()
    assert await waiting is not None
    await keys.principal(key.text)
    assert len(table.asked) == 2


async def test_a_key_in_use_is_looked_up_ahead_so_that_no_request_waits(
    keys: KnownKeys, table: Table, clock: Clock
) -> None:
    key = table.add()
    assert await keys.principal(key.text) is not None
    table.open.clear()
    clock.now += KEY_FRESH_S - 0.1
    assert await asyncio.wait_for(keys.principal(key.text), 5) is not None
    await asyncio.sleep(0)
    assert len(table.asked) == 2
    table.open.set()


async def test_a_wrong_secret_for_a_known_id_opens_nothing(keys: KnownKeys, table: Table) -> None:
    key, other = table.add(), new_key()
    forged = other.text.replace(other.key_id, key.key_id)
    assert await keys.principal(forged) is None
    assert await keys.principal("no key at all") is None


async def test_many_keys_are_asked_for_in_one_question(keys: KnownKeys, table: Table) -> None:
    made = [table.add(f"account-{number}") for number in range(40)]
    table.open.clear()
    waiting = [asyncio.create_task(keys.principal(key.text)) for key in made for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    table.open.set()
    found = await asyncio.gather(*waiting)
    assert [principal.account for principal in found if principal is not None][::3] == [
        f"account-{number}" for number in range(40)
    ]
    assert len(table.asked) <= 2


async def test_who_gives_up_waiting_takes_nobody_along(keys: KnownKeys, table: Table) -> None:
    key = table.add()
    table.open.clear()
    gone, stays = (asyncio.create_task(keys.principal(key.text)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    table.open.set()
    assert await stays is not None


async def test_without_the_database_nobody_is_let_in_and_nobody_called_wrong(keys: KnownKeys, table: Table) -> None:
    key = table.add()
    table.away = True
    with pytest.raises(StoreUnavailable):
        await keys.principal(key.text)
    table.away = False
    assert await keys.principal(key.text) is not None


async def test_what_was_known_of_a_key_holds_in_an_outage_for_who_asks_for_that_and_for_a_while(
    keys: KnownKeys, table: Table, clock: Clock
) -> None:
    key, other = table.add(), new_key()
    known = await keys.principal(key.text)
    table.away = True
    clock.now += KEY_KEPT_S - 1
    assert await keys.principal(key.text, last_known=True) == known
    assert await keys.principal(other.text.replace(other.key_id, key.key_id), last_known=True) is None
    with pytest.raises(StoreUnavailable):
        await keys.principal(key.text)
    with pytest.raises(StoreUnavailable):
        await keys.principal(other.text, last_known=True)
    clock.now += 1
    with pytest.raises(StoreUnavailable):
        await keys.principal(key.text, last_known=True)


async def test_a_database_that_hangs_is_not_waited_for_by_who_takes_what_was_known(
    keys: KnownKeys, table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys, "KEY_WAIT_S", 0.01)
    key = table.add()
    known = await keys.principal(key.text)
    table.open.clear()
    clock.now += KEY_FRESH_S
    assert await asyncio.wait_for(keys.principal(key.text, last_known=True), 5) == known
    with pytest.raises(StoreUnavailable):
        await keys.principal(new_key().text, last_known=True)
    table.open.set()


async def test_a_revocation_is_known_as_soon_as_the_database_is_back(
    keys: KnownKeys, table: Table, clock: Clock
) -> None:
    key = table.add()
    await keys.principal(key.text)
    table.away = True
    clock.now += KEY_FRESH_S
    assert await keys.principal(key.text, last_known=True) is not None
    del table.keys[key.key_id]
    table.away = False
    assert await keys.principal(key.text, last_known=True) is None
    table.away = True
    clock.now += KEY_FRESH_S
    with pytest.raises(StoreUnavailable):
        await keys.principal(key.text, last_known=True)


async def test_a_flood_of_invented_keys_is_bounded(
    keys: KnownKeys, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_keys, "MAX_KEYS_WAITING", 3)
    monkeypatch.setattr(known_keys, "MAX_KNOWN_KEYS", 5)
    table.open.clear()
    waiting = [asyncio.create_task(keys.principal(new_key().text)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StoreOverloaded):
        await keys.principal(new_key().text)
    table.open.set()
    assert await asyncio.gather(*waiting) == [None] * 3
    for _ in range(10):
        assert await keys.principal(new_key().text) is None
    assert len(keys._known) == 5


async def test_that_a_key_was_used_is_told_once_in_a_while(keys: KnownKeys, table: Table, clock: Clock) -> None:
    key = table.add()
    for _ in range(7):
        await keys.principal(key.text)
        while keys._asking is not None and not keys._asking.done():
            await asyncio.sleep(0)
        clock.now += KEY_USED_EVERY_S / 4
    assert table.used_keys == [{key.key_id}] * 2


async def test_a_wrong_secret_does_not_count_as_use(keys: KnownKeys, table: Table, clock: Clock) -> None:
    key, other = table.add(), new_key()
    await keys.principal(other.text.replace(other.key_id, key.key_id))
    clock.now += KEY_USED_EVERY_S
    await keys.stored("another")
    assert table.used_keys == []
