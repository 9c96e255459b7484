"""How often an account may ask: a token bucket each, one for what changes orders and one for reads.

Each API process counts for itself, so that behind a balancer an account has up to so many times its rate as there are
processes. Litestar's own middleware counts requests in windows of the wall clock, and knows nothing of a batch.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` says how many (q) in how many
seconds (w), `RateLimit` what is left (r) and in how many seconds all of it is there again (t).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from litestar.enums import ScopeType
from litestar.exceptions import TooManyRequestsException
from litestar.types import ASGIApp, Receive, Scope, Send

from order_service.security.bounds import MAX_RATED_CLIENTS, RATE_BURST_S
from order_service.security.door import client_address
from order_service.security.principal import principal_of
from orders.http import COST
from orders.token_bucket import Bucket

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_ROUNDING = 1e-6
"""Of times as floats, in seconds and tokens."""
_UNLIMITED = ("/health/", "/metrics")

Client = tuple[str, str]
"""An account, or the address of who has none."""


class Rate:
    """Of one kind of requests. A client's bucket is full at first; one that is full again is forgotten."""

    def __init__(self, name: str, per_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._per_s = per_s
        self._burst = max(1.0, per_s * RATE_BURST_S)
        self._monotonic = monotonic
        self._buckets: OrderedDict[Client, Bucket] = OrderedDict()
        self._too_many = f"More than {per_s:g} {name} a second"
        self.policy = f'"{name}";q={int(self._burst)};w={math.ceil(self._burst / per_s)}'

    def __len__(self) -> int:
        """The clients that are remembered."""
        return len(self._buckets)

    def take(self, client: Client) -> None:
        """A token. Raises TooManyRequestsException where there is none."""
        self.require(client)
        self.charge(client, 1)

    def require(self, client: Client) -> None:
        """Takes none. Raises TooManyRequestsException where there is none."""
        now = self._monotonic()
        bucket = self._bucket(client, now)
        if (wait_s := bucket.ready_at() - now) > _ROUNDING:
            headers = {**self.headers(client), "Retry-After": str(math.ceil(wait_s - _ROUNDING))}
            raise TooManyRequestsException(self._too_many, headers=headers)

    def charge(self, client: Client, tokens: int) -> None:
        """So many, for what cannot be refused any more: where there are none left, they are owed."""
        now = self._monotonic()
        self._bucket(client, now).spend(now, tokens)

    def take_more(self, client: Client, tokens: int) -> None:
        """For what was let in by one token, and is worth more: where there are none left, they are owed. Where some are
        owed already, by what came in beside it, raises TooManyRequestsException and gives it its token back."""
        now = self._monotonic()
        bucket = self._bucket(client, now)
        if bucket.tokens(now) >= -_ROUNDING:
            bucket.spend(now, tokens)
            return
        bucket.give_back()
        retry_after = {"Retry-After": str(math.ceil(bucket.ready_at() - now - _ROUNDING))}
        raise TooManyRequestsException(self._too_many, headers=retry_after)

    def headers(self, client: Client) -> dict[str, str]:
        now = self._monotonic()
        bucket = self._bucket(client, now)
        left = max(0, int(bucket.tokens(now) + _ROUNDING))
        full_in_s = max(0, math.ceil(bucket.full_at - now - _ROUNDING))
        return {"RateLimit-Policy": self.policy, "RateLimit": f'"{self._name}";r={left};t={full_in_s}'}

    def _bucket(self, client: Client, now: float) -> Bucket:
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = Bucket(self._per_s, self._burst, now - self._burst / self._per_s)
            self._forget(now)
        self._buckets.move_to_end(client)
        return bucket

    def _forget(self, now: float) -> None:
        """Who asked longest ago, if the bucket is full again or there are too many; two may go for one that comes."""
        for _ in range(2):
            client, oldest = next(iter(self._buckets.items()))
            if len(self._buckets) > 1 and (oldest.full_at <= now or len(self._buckets) > MAX_RATED_CLIENTS):
                del self._buckets[client]


class RateLimits:
    """A middleware of Litestar's: what it raises becomes a problem. None limits nothing."""

    def __init__(self, app: ASGIApp, orders: Rate | None, reads: Rate | None) -> None:
        self._app = app
        self._orders = orders
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rate = self._rate_of(scope)
        if rate is None:
            await self._app(scope, receive, send)
            return
        client = client_of(scope)
        rate.take(client)

        def worth(requests: int) -> None:
            if requests > 1:
                rate.take_more(client, requests - 1)

        scope["state"][COST] = worth

        async def send_told(message: Any) -> None:
            if message["type"] == "http.response.start":
                told = [(name.lower().encode(), value.encode()) for name, value in rate.headers(client).items()]
                message = {**message, "headers": [*message["headers"], *told]}
            await send(message)

        await self._app(scope, receive, send_told)

    def _rate_of(self, scope: Any) -> Rate | None:
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(_UNLIMITED):
            return None
        return self._orders if scope["method"] in _WRITES else self._reads


def client_of(scope: Any) -> Client:
    principal = principal_of(scope)
    return ("address", client_address(scope)) if principal is None else ("account", principal.account)
