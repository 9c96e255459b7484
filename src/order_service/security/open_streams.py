"""WebSockets and endless answers, which end when the credential that opened them does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from order_service.security.bounds import CREDENTIAL_LOOK_S
from order_service.security.known_keys import KnownKeys
from order_service.security.principal import Principal
from orders.eventstore.port import EventStoreError

Ended = asyncio.Future[str]
"""Its result says why."""


class OpenStreams:
    """For one event loop. While keys have streams open, it is looked every CREDENTIAL_LOOK_S whether they still hold; a
    database that does not answer ends nothing. `clock` gives seconds since 1970."""

    def __init__(self, keys: KnownKeys, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock
        self._of_keys: dict[str, set[Ended]] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def opened(self, principal: Principal) -> Iterator[Ended]:
        """What it gives is done as soon as the credential has ended."""
        loop = asyncio.get_running_loop()
        ended: Ended = loop.create_future()
        timer = None
        if principal.expires_at_s is not None:
            timer = loop.call_later(principal.expires_at_s - self._clock(), _end, ended, "the token has expired")
        if principal.key_id is not None:
            self._of_keys.setdefault(principal.key_id, set()).add(ended)
            if self._looking is None or self._looking.done():
                self._looking = loop.create_task(self._look())
        try:
            yield ended
        finally:
            ended.cancel()
            if timer is not None:
                timer.cancel()
            self._forget(principal.key_id, ended)

    def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()

    def _forget(self, key_id: str | None, ended: Ended) -> None:
        if key_id is not None:
            streams = self._of_keys[key_id]
            streams.discard(ended)
            if not streams:
                del self._of_keys[key_id]

    async def _look(self) -> None:
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
