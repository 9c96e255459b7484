"""GET /health/live and /health/ready: whether this process runs, and whether it can serve."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from litestar import Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from order_service.bounds import (
    APPEND_FAILED_S,
    HEALTH_CACHE_S,
    HEALTH_TIMEOUT_S,
    READY_LAG_EVENTS,
    READY_LAG_S,
)
from order_service.errors import MigrationError, UnreachableError
from order_service.migrations import pending
from orders.eventstore.commits import Commits
from projections.errors import ReadError
from projections.queries import ProjectionLag

log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[str | None]]
"""The reason why it is not ready, in a person's words; None where all is well."""


class HealthReport(Struct, frozen=True):
    """`reasons`: why it is not ready. `degraded`: what is not as it should be, though this process can serve."""

    status: str
    reasons: list[str] = []
    degraded: list[str] = []


class Health:
    """The checks run together, each within a bound, at most once in a short while however often is asked."""

    def __init__(self, checks: Mapping[str, Check], warnings: Mapping[str, Check] | None = None) -> None:
        """What a check finds is a reason not to be ready; what a warning finds only degrades."""
        self._checks = checks
        self._warnings = warnings or {}
        self._lock = asyncio.Lock()
        self._report = HealthReport("starting", ["not checked yet"])
        self._checked_at = float("-inf")
        self._draining = False

    def drain(self) -> None:
        """From now on it is not ready: the process ends what is under way, and itself."""
        self._draining = True

    async def ready(self) -> HealthReport:
        if self._draining:
            return HealthReport("not ready", ["the process is about to stop"])
        async with self._lock:
            if time.monotonic() - self._checked_at > HEALTH_CACHE_S:
                reasons, degraded = await asyncio.gather(_found(self._checks), _found(self._warnings))
                self._report = HealthReport("not ready" if reasons else "ready", reasons, degraded)
                self._checked_at = time.monotonic()
            return self._report


async def _found(checks: Mapping[str, Check]) -> list[str]:
    found = await asyncio.gather(*(_bounded(name, check) for name, check in checks.items()))
    return [reason for reason in found if reason is not None]


async def _bounded(name: str, check: Check) -> str | None:
    """What nobody foresaw of one hides nothing of the others, and makes no warning a reason not to be ready."""
    (found,) = await asyncio.gather(asyncio.wait_for(check(), HEALTH_TIMEOUT_S), return_exceptions=True)
    if isinstance(found, TimeoutError):
        return f"{name}: no answer within {HEALTH_TIMEOUT_S:g} s"
    if isinstance(found, BaseException):
        log.error("health: %s could not be checked", name, exc_info=found)
        return f"{name}: could not be checked ({type(found).__name__})"
    return found


class QueryTables:
    """The database answers, a projector runs, and each query table follows the log closely: it has not stopped, and it
    holds what was the log's end READY_LAG_S ago. Under load a table is always a little behind; that is no reason.

    `quotes_errors`: the reason holds what went wrong in an error's own words, which may name values of an order."""

    def __init__(
        self,
        lags: Callable[[], Awaitable[Sequence[ProjectionLag]]],
        clock: Callable[[], float] = time.monotonic,
        *,
        quotes_errors: bool = True,
    ) -> None:
        self._lags = lags
        self._clock = clock
        self._quotes_errors = quotes_errors
        self._goals: dict[str, tuple[int, float]] = {}  # a position that was the log's end, and when

    async def check(self) -> str | None:
        try:
            lags = await self._lags()
        except ReadError as error:
            return str(error)
        return next((reason for lag in lags if (reason := self._reason(lag)) is not None), None)

    def _reason(self, lag: ProjectionLag) -> str | None:
        now = self._clock()
        goal, since = self._goals.get(lag.name, (0, now))
        if lag.position >= goal:
            goal, since = lag.position + lag.lag_events, now
            self._goals[lag.name] = (goal, since)
        if lag.failed is not None:
            why = lag.failed.reason if self._quotes_errors else "GET /ops/projections says why"
            return f"{lag.name} has stopped at position {lag.failed.position}: {why}"
        if not lag.followed:
            return f"{lag.name} is not followed: no projector runs, it has just started, or it cannot write"
        if lag.lag_events > READY_LAG_EVENTS or now - since > READY_LAG_S:
            return f"{lag.name} is {lag.lag_events} events behind the log"
        return None


class Appends:
    """Orders can be made durable, as far as the last commit tells and that is not long ago. It is no reason not to be
    ready: without clients no commit would ever show that the database takes writes again. `quotes_errors`: see
    QueryTables."""

    def __init__(
        self, commits: Commits, clock: Callable[[], float] = time.monotonic, *, quotes_errors: bool = True
    ) -> None:
        self._commits = commits
        self._clock = clock
        self._quotes_errors = quotes_errors

    async def check(self) -> str | None:
        failure = self._commits.failure
        if failure is None or self._clock() - failure.at_s >= APPEND_FAILED_S:
            return None
        why = failure.reason if self._quotes_errors else "the log of this process says why"
        return f"the last commit of orders failed: {why}"


class Migrations:
    """The schema is this release's. Once it is, it is not asked again. A look that outlasts a check is waited for by
    the next one: it holds a thread of its own, and never more."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._applied = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="migrations")
        self._looking: asyncio.Future[str | None] | None = None

    async def check(self) -> str | None:
        if self._applied:
            return None
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().run_in_executor(self._thread, self._look)
        return await asyncio.shield(self._looking)

    def _look(self) -> str | None:
        try:
            names = pending(self._url)
        except UnreachableError:
            return "the database cannot be reached"
        except MigrationError as error:
            return str(error)
        self._applied = not names
        if self._applied:
            self._thread.shutdown(wait=False)
        return f"migrations are pending: {', '.join(names)}; run `orders migrate`" if names else None


def health_router(health: Health) -> Router:
    @get("/health/live", summary="Whether the process runs")
    async def live() -> HealthReport:
        return HealthReport("live")

    not_ready = ResponseSpec(HealthReport, description="Not now, for these reasons", generate_examples=False)

    @get("/health/ready", summary="Whether it can serve: 200, or 503 with the reasons", responses={503: not_ready})
    async def ready() -> Response[HealthReport]:
        report = await health.ready()
        return Response(report, status_code=503 if report.reasons else 200)

    handlers: list[Any] = [live, ready]
    return Router(path="/", route_handlers=handlers, opt={"scope": "public"})
