"""Bounded waits for a condition: the only place where a test sleeps."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.01  # short beside what is waited for, long beside what a look costs
WITHIN_S = 10.0  # far more than anything here takes, even with both cores busy


def wait_until(condition: Callable[[], T], *, within_s: float = WITHIN_S, what: str = "the condition") -> T:
    """The first true value of `condition`; AssertionError naming `what` if `within_s` seconds bring none."""
    give_up_at = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < give_up_at, f"waited {within_s} s in vain for {what}; last seen: {value!r}"
        time.sleep(POLL_S)
    return value


async def wait_until_async(
    condition: Callable[[], Awaitable[T]], *, within_s: float = WITHIN_S, what: str = "the condition"
) -> T:
    """`wait_until` for a condition that is awaited; other tasks run meanwhile."""
    give_up_at = time.monotonic() + within_s
    while not (value := await condition()):
        assert time.monotonic() < give_up_at, f"waited {within_s} s in vain for {what}; last seen: {value!r}"
        await asyncio.sleep(POLL_S)
    return value
