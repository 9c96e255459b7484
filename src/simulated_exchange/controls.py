"""What a person changes in a running exchange: its faults, its house, its outages. Outlives the exchange's restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from simulated_exchange.control_words import (
    BustExecution,
    ControlRequest,
    CorrectExecution,
    FaultsSet,
    SetFaults,
)
from simulated_exchange.errors import BadSetting
from simulated_exchange.exchange import Exchange
from simulated_exchange.faults import RATES, FaultPlan, Faults
from simulated_exchange.house import House
from simulated_exchange.protocol import AnyAnswer, Refused

DOWN = Refused("unavailable", "the exchange is down; it must be up for this")
Then = Callable[[AnyAnswer], None]


class Controls:
    def __init__(self, faults: Faults, house: House) -> None:
        self.faults = faults
        self.house = house
        self.exchange: Exchange | None = None  # None while it is down
        self.starts = 0
        self.crash = asyncio.Event()  # set: whoever runs the exchange ends it at once
        self._outage_until = 0.0
        self._changed = asyncio.Event()
        self._replanned = asyncio.Event()

    def take(self, request: ControlRequest, then: Then) -> None:
        """Carries a request out; `then` gets its answer, once what it says is on disk."""
        match request:
            case SetFaults():
                try:
                    self.set_faults(request)
                except BadSetting as error:
                    then(Refused("bad_request", str(error)))
                else:
                    then(self.shown())
            case BustExecution() | CorrectExecution():
                if not self._up or self.exchange is None:
                    then(DOWN)
                else:
                    self.exchange.amend(request, then)

    def set_faults(self, request: SetFaults) -> None:
        """Raises BadSetting, and nothing is changed."""
        given = {name: getattr(request, name) for name in (*RATES, "latency_s", "crash_every_s", "capacity")}
        changes = {name: value for name, value in given.items() if value is not None}
        before = FaultPlan() if request.reset else self.faults.plan
        plan = msgspec.structs.replace(before, **changes).checked()
        if plan.crash_every_s != self.faults.plan.crash_every_s:
            self._replanned.set()
        self.faults.plan = plan
        if request.reset or request.house is not None:
            self.house.is_open = request.house is not False
        if request.reset or request.outage_s is not None:
            self.begin_outage(request.outage_s or 0.0)
        if request.restart:
            self.crash.set()
        if request.disconnect and self.exchange is not None:
            self.exchange.cut_all()

    def shown(self) -> FaultsSet:
        return FaultsSet(
            faults=self.faults.plan.as_dict(),
            house=self.house.is_open,
            up=self._up,
            outage_left_s=round(self.outage_left_s(), 1),
            starts=self.starts,
        )

    @property
    def _up(self) -> bool:
        """One that is about to crash is down already: it answers nobody any more."""
        return self.exchange is not None and not self.crash.is_set()

    def outage_left_s(self) -> float:
        return max(0.0, self._outage_until - time.monotonic())

    def begin_outage(self, seconds: float) -> None:
        """0 ends one that is under way."""
        self._outage_until = time.monotonic() + seconds
        self._changed.set()
        if seconds > 0:
            self.crash.set()

    async def outage_over(self, stop: asyncio.Event) -> None:
        """Returns when no outage is under way, or at the stop."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while (left_s := self.outage_left_s()) > 0 and not stop.is_set():
                self._changed.clear()
                changing = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({stopping, changing}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                changing.cancel()
        finally:
            stopping.cancel()

    async def crash_now_and_then(self) -> None:
        """For ever, as the plan says; another range counts anew."""
        while True:
            self._replanned.clear()
            try:
                await asyncio.wait_for(self._replanned.wait(), self.faults.next_crash_s())
            except TimeoutError:
                self.crash.set()

    def started(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.starts += 1
        if self.outage_left_s() == 0:
            self.crash.clear()

    def ended(self) -> None:
        self.exchange = None
