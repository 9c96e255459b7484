"""Kills the adapter of a running service again and again while orders flow, and says when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
from msgspec import Struct

from load.order_flow import OrderFlow
from tests.support.running_service import RunningService
from tests.support.waiting import wait_until

BURST = 5  # kills close upon one another: the restart's pause doubles from 0.1 s to 1.6 s, and recovery meets a kill
BURST_SHARE = 0.5  # of the orders come during bursts; in the other half the adapter runs long enough to be steady
STALL_S = 120.0  # no progress for so long: the campaign has failed
GONE_S = 5.0  # until the system has buried a killed process


class Deed(Struct, frozen=True):
    """What is done once so many orders are accepted."""

    accepted: int
    what: str


KILL, OUTAGE = "kill", "outage"


def deeds(orders: int, kills: int) -> list[Deed]:
    """So many kills, spread over the orders in bursts, and an outage of the exchange after each burst."""
    bursts = -(-kills // BURST)
    planned: list[Deed] = []
    for number in range(bursts):
        first, last = number * kills // bursts, (number + 1) * kills // bursts
        begins, length = orders * number // bursts, orders // bursts
        step = length * BURST_SHARE / (last - first)
        planned += [Deed(begins + int(step * (place + 0.5)), KILL) for place in range(last - first)]
        planned.append(Deed(begins + int(length * (1 + BURST_SHARE) / 2), OUTAGE))
    return planned


def due(flow: OrderFlow, planned: list[Deed]) -> Iterator[Deed]:
    """Each deed as soon as its time has come. Raises AssertionError where the flow stalls."""
    for deed in planned:
        wait_until(
            lambda deed=deed: len(flow.accepted) >= deed.accepted or not flow.running,  # type: ignore[misc]
            within_s=STALL_S,
            what=f"{deed.accepted} accepted orders",
        )
        yield deed


def kill_adapter(service: RunningService) -> None:
    """SIGKILL, as soon as there is one; returns when it is gone."""
    process = wait_until(lambda: _adapter_of(service), within_s=STALL_S, what="an adapter to kill")
    assert process is not None
    with suppress(psutil.NoSuchProcess):
        process.kill()
        process.wait(GONE_S)


def _adapter_of(service: RunningService) -> psutil.Process | None:
    with suppress(LookupError, psutil.Error):
        return service.part("adapter")
    return None


class Progress:
    """Lines with rates, for a person who watches."""

    def __init__(self, flow: OrderFlow, tell: Callable[[str], None]) -> None:
        self._flow, self._tell = flow, tell
        self._began_at = self._last_at = time.monotonic()
        self._last = 0

    def line(self, what: str) -> None:
        now, accepted = time.monotonic(), len(self._flow.accepted)
        rate = (accepted - self._last) / max(now - self._last_at, 0.001)
        self._tell(
            f"{now - self._began_at:7.1f} s  {accepted:>9,} of {self._flow.orders:,} accepted  {rate:6.0f}/s  {what}"
        )
        self._last, self._last_at = accepted, now
