"""GET /health/live and /health/ready: whether this process runs, and whether it can serve."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from litestar import Response, Router, get
from msgspec import Struct

from order_service.bounds import HEALTH_CACHE_S, HEALTH_TIMEOUT_S

Check = Callable[[], Awaitable[str | None]]
"""The reason why it is not ready, in a person's words; None where all is well."""


class HealthReport(Struct, frozen=True):
    status: str
    reasons: list[str] = []


class Health:
    """The checks run together, each within a bound, at most once in a short while however often is asked."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = checks
        self._lock = asyncio.Lock()
        self._report = HealthReport("starting", ["not checked yet"])
        self._checked_at = float("-inf")

    async def ready(self) -> HealthReport:
        async with self._lock:
            if time.monotonic() - self._checked_at > HEALTH_CACHE_S:
                found = await asyncio.gather(*(_bounded(check) for check in self._checks))
                reasons = [reason for reason in found if reason is not None]
                self._report = HealthReport("not ready" if reasons else "ready", reasons)
                self._checked_at = time.monotonic()
            return self._report


async def _bounded(check: Check) -> str | None:
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return f"{check.__name__.replace('_', ' ')} did not answer within {HEALTH_TIMEOUT_S:g} s"


def health_router(health: Health) -> Router:
    @get("/health/live", summary="Whether the process runs")
    async def live() -> HealthReport:
        return HealthReport("live")

    @get("/health/ready", summary="Whether it can serve: 200, or 503 with the reasons")
    async def ready() -> Response[HealthReport]:
        report = await health.ready()
        return Response(report, status_code=503 if report.reasons else 200)

    handlers: list[Any] = [live, ready]
    return Router(path="/", route_handlers=handlers)
