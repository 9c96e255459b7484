"""What an API process knows of the API keys in use: asked of the database at most once in a short while, many keys in
one question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Protocol

from order_service.security.api_keys import StoredKey, key_id_of, opens
from order_service.security.bounds import (
    KEY_FRESH_S,
    KEY_KEPT_S,
    KEY_REFRESH_S,
    KEY_USED_EVERY_S,
    KEY_WAIT_S,
    MAX_ASKED_KEYS,
    MAX_KEYS_WAITING,
    MAX_KNOWN_KEYS,
)
from order_service.security.principal import Principal
from orders.eventstore.port import EventStoreError, StoreOverloaded, StoreUnavailable

_Waiting = asyncio.Future[StoredKey | None]


class KeyTable(Protocol):
    """Where the keys are. Each method raises StoreUnavailable."""

    async def holding(self, key_ids: Collection[str]) -> Mapping[str, StoredKey]:
        """Those that are neither revoked nor expired now."""
        ...

    async def used(self, key_ids: Collection[str]) -> None:
        """They were used lately."""
        ...


class KnownKeys:
    """For one event loop. `clock` is monotonic."""

    def __init__(self, table: KeyTable, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._clock = clock
        self._known: dict[str, tuple[StoredKey | None, float]] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._asking: asyncio.Task[None] | None = None
        self._used: set[str] = set()
        self._told_used_at = float("-inf")

    async def principal(self, text: str, *, last_known: bool = False) -> Principal | None:
        """Whose key it is; None where it does not hold. `last_known` takes what was known where the database does not
        answer. Raises StoreUnavailable, StoreOverloaded."""
        key_id = key_id_of(text)
        if key_id is None:
            return None
        stored = await (self._stored_or_last_known(key_id) if last_known else self.stored(key_id))
        if stored is None or not opens(text, stored):
            return None
        self._used.add(key_id)
        if self._clock() - self._told_used_at >= KEY_USED_EVERY_S:
            self._go_on()
        return stored.principal

    async def stored(self, key_id: str) -> StoredKey | None:
        """As it was less than KEY_FRESH_S ago. Raises StoreUnavailable, StoreOverloaded."""
        known = self._known.get(key_id)
        if known is not None:
            age_s = self._clock() - known[1]
            if age_s < KEY_FRESH_S:
                if age_s > KEY_REFRESH_S and known[0] is not None:
                    with suppress(StoreOverloaded):
                        self._ask(key_id)
                return known[0]
        return await asyncio.shield(self._ask(key_id))

    async def _stored_or_last_known(self, key_id: str) -> StoredKey | None:
        """As it is now; where that is not told within KEY_WAIT_S, as it was less than KEY_KEPT_S ago. What did not hold
        when it was asked for last is not kept."""
        try:
            async with asyncio.timeout(KEY_WAIT_S):
                return await self.stored(key_id)
        except (TimeoutError, EventStoreError) as error:
            known, since = self._known.get(key_id, (None, 0.0))
            if known is not None and self._clock() - since < KEY_KEPT_S:
                return known
            if isinstance(error, TimeoutError):
                raise StoreUnavailable("API keys: no answer in time") from error
            raise

    def _ask(self, key_id: str) -> _Waiting:
        waiting = self._waiting.get(key_id)
        if waiting is None:
            if len(self._waiting) >= MAX_KEYS_WAITING:
                raise StoreOverloaded("too many API keys are looked up")
            waiting = self._waiting[key_id] = asyncio.get_running_loop().create_future()
            waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._go_on()
        return waiting

    def _go_on(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())

    async def _ask_all(self) -> None:
        while self._waiting:
            asked = dict(list(self._waiting.items())[:MAX_ASKED_KEYS])
            asked_at = self._clock()
            try:
                found = await self._table.holding(asked.keys())
            except StoreUnavailable as error:
                self._tell_all(asked, error)
                continue
            for key_id, waiting in asked.items():
                stored = found.get(key_id)
                self._remember(key_id, stored, asked_at)
                del self._waiting[key_id]
                if not waiting.done():
                    waiting.set_result(stored)
        await self._tell_used()

    def _tell_all(self, asked: Mapping[str, _Waiting], error: StoreUnavailable) -> None:
        for key_id, waiting in asked.items():
            del self._waiting[key_id]
            if not waiting.done():
                waiting.set_exception(error)

    def _remember(self, key_id: str, stored: StoredKey | None, asked_at: float) -> None:
        self._known.pop(key_id, None)
        self._known[key_id] = stored, asked_at
        if len(self._known) > MAX_KNOWN_KEYS:
            del self._known[next(iter(self._known))]

    async def _tell_used(self) -> None:
        """A hint for people: lost where the database is away. What is asked for meanwhile is asked at once after."""
        if self._used and self._clock() - self._told_used_at >= KEY_USED_EVERY_S:
            used, self._used, self._told_used_at = self._used, set(), self._clock()
            with suppress(StoreUnavailable):
                await self._table.used(used)
            if self._waiting:
                await self._ask_all()
