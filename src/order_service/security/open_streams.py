"""WebSockets and endless answers, which end when the credential that opened them does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from order_service.security.bounds import CREDENTIAL_LOOK_S
from order_service.security.known_keys import KnownKeys
from order_service.security.principal import Principal
from orders.eventstore.port import EventStoreError

Ended = asyncio.Future[str]
"""Its result says why."""

_Look = Callable[[], Coroutine[Any, Any, None]]


class OpenStreams:
    """For one event loop. While streams are open, it is looked every CREDENTIAL_LOOK_S whether their credentials still
    hold; a database that does not answer ends nothing. `clock` gives seconds since 1970, and may jump, so that there is
    no timer for a token's end."""

    def __init__(self, keys: KnownKeys, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock
        self._of_keys: dict[str, set[Ended]] = {}
        self._of_tokens: dict[Ended, float] = {}
        self._looking: dict[_Look, asyncio.Task[None]] = {}

    @contextmanager
    def opened(self, principal: Principal) -> Iterator[Ended]:
        """What it gives is done as soon as the credential has ended."""
        ended: Ended = asyncio.get_running_loop().create_future()
        if principal.expires_at_s is not None:
            self._of_tokens[ended] = principal.expires_at_s
            self._go_on(self._look_at_tokens)
        if principal.key_id is not None:
            self._of_keys.setdefault(principal.key_id, set()).add(ended)
            self._go_on(self._look_at_keys)
        try:
            yield ended
        finally:
            ended.cancel()
            self._of_tokens.pop(ended, None)
            self._forget(principal.key_id, ended)

    def close(self) -> None:
        for looking in self._looking.values():
            looking.cancel()

    def _forget(self, key_id: str | None, ended: Ended) -> None:
        if key_id is not None:
            streams = self._of_keys[key_id]
            streams.discard(ended)
            if not streams:
                del self._of_keys[key_id]

    def _go_on(self, look: _Look) -> None:
        looking = self._looking.get(look)
        if looking is None or looking.done():
            self._looking[look] = asyncio.get_running_loop().create_task(look())

    async def _look_at_tokens(self) -> None:
        while self._of_tokens:
            await asyncio.sleep(CREDENTIAL_LOOK_S)
            now = self._clock()
            for ended, expires_at_s in self._of_tokens.items():
                if expires_at_s <= now:
                    _end(ended, "the token has expired")

    async def _look_at_keys(self) -> None:
        while self._of_keys:
            await asyncio.sleep(CREDENTIAL_LOOK_S)
            key_ids = list(self._of_keys)
            found = await asyncio.gather(*map(self._keys.stored, key_ids), return_exceptions=True)
            for key_id, stored in zip(key_ids, found, strict=True):
                if stored is None:
                    for ended in self._of_keys.get(key_id, ()):
                        _end(ended, "the API key is revoked or has expired")
                elif isinstance(stored, BaseException) and not isinstance(stored, EventStoreError):
                    raise stored


def _end(ended: asyncio.Future[Any], why: str) -> None:
    if not ended.done():
        ended.set_result(why)
