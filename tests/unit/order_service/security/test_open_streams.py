"""Streams end with the credential that opened them."""

import asyncio
import time
from collections.abc import Collection, Mapping

import pytest

from order_service.security import known_keys, open_streams
from order_service.security.api_keys import StoredKey
from order_service.security.known_keys import KnownKeys
from order_service.security.open_streams import OpenStreams
from order_service.security.principal import Principal
from orders.eventstore.port import StoreUnavailable
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

ALICE = Principal(account="alice", scopes=frozenset({"read"}), key_id="alices")


class Table:
    def __init__(self) -> None:
        self.holds = {"alices"}
        self.away = False
        self.asked = 0

    async def holding(self, key_ids: Collection[str]) -> Mapping[str, StoredKey]:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        return {key_id: StoredKey(ALICE, b"") for key_id in key_ids if key_id in self.holds}

    async def used(self, key_ids: Collection[str]) -> None: ...

    async def asked_thrice(self) -> bool:
        return self.asked >= 3


@pytest.fixture
async def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.setattr(open_streams, "CREDENTIAL_LOOK_S", 0.01)
    monkeypatch.setattr(known_keys, "KEY_FRESH_S", 0.0)
    return Table()


@pytest.fixture
async def streams(table: Table) -> OpenStreams:
    return OpenStreams(KnownKeys(table))


def _ending_in(seconds: float) -> Principal:
    return Principal(account="bob", scopes=frozenset({"read"}), expires_at_s=time.time() + seconds)


async def test_revoking_a_key_ends_all_its_streams(streams: OpenStreams, table: Table) -> None:
    with streams.opened(ALICE) as one, streams.opened(ALICE) as other:
        table.holds.clear()
        assert "revoked" in await asyncio.wait_for(one, 5)
        assert "revoked" in await asyncio.wait_for(other, 5)


async def test_a_database_that_is_away_ends_nothing(streams: OpenStreams, table: Table) -> None:
    table.away = True
    with streams.opened(ALICE) as stream:
        await wait_until_async(table.asked_thrice)
        assert not stream.done()
        table.away, table.holds = False, set()
        await asyncio.wait_for(stream, 5)


async def test_a_stream_ends_when_its_token_does(streams: OpenStreams) -> None:
    with streams.opened(_ending_in(0.05)) as stream:
        assert await asyncio.wait_for(stream, 5) == "the token has expired"


async def test_a_stream_ends_with_its_token_also_when_the_clock_jumps(table: Table) -> None:
    """As it does when it is set, or when the machine was asleep."""
    now = time.time()
    streams = OpenStreams(KnownKeys(table), clock=lambda: now)
    with streams.opened(_ending_in(3_600)) as stream, streams.opened(_ending_in(9_000)) as other:
        now += 3_601
        assert await asyncio.wait_for(stream, 5) == "the token has expired"
        assert not other.done()


async def test_a_token_ends_while_the_database_says_nothing_of_keys(
    streams: OpenStreams, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def frozen(key_ids: Collection[str]) -> Mapping[str, StoredKey]:
        table.asked += 1
        return await asyncio.Future()

    monkeypatch.setattr(table, "holding", frozen)
    with streams.opened(ALICE), streams.opened(_ending_in(0.1)) as stream:
        assert await asyncio.wait_for(stream, 5) == "the token has expired"
        assert table.asked == 1
    streams.close()


async def test_without_streams_nothing_is_asked(streams: OpenStreams, table: Table) -> None:
    with streams.opened(ALICE):
        pass
    with streams.opened(_ending_in(60)):
        pass
    await asyncio.wait_for(asyncio.gather(*streams._looking.values()), 5)
    assert len(streams._looking) == 2
    assert table.asked == 0
    assert not streams._of_keys
    assert not streams._of_tokens
