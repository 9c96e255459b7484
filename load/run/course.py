"""One run, from its first request to its balance."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from load.run.closing import close
from load.run.feed import Audience
from load.run.ledger import Ledger
from load.run.machine import machine
from load.run.meter import Meter, percentiles
from load.run.reading_back import ask_again, read_back
from load.run.report import Feed, Lives, Report, judge
from load.run.service import CannotLoad, Service
from load.run.traffic import Traffic
from load.scenarios import Scenario
from order_client import AsyncOrderClient

SAMPLE_S = 0.5
TELL_S = 5.0
FOLLOW_S = 30.0  # until every socket follows live: a new service needs 1 s
SETTLE_SPARE_S = 30.0  # beyond its threshold, until we stop waiting for orders that wait for the exchange
FILL_S = 20.0  # for market orders that are at the exchange: the simulated one fills them after 4 to 6 s


class Course:
    """`run` gives the report. For one use."""

    def __init__(self, name: str, scenario: Scenario, service: Service) -> None:
        self._name, self._scenario, self._service = name, scenario, service
        self._seed = f"load-{uuid4().hex[:12]}"
        self._meter, self._ledger = Meter(scenario.phases), Ledger()
        self._traffic = Traffic(scenario, service.target, self._seed, self._meter, self._ledger, self._begin_phase)

    async def run(self) -> Report:
        """Raises CannotLoad, ServerGone, and OrderClientError or ExchangeError where service or journal cannot be
        read."""
        at, surroundings, target = datetime.now(UTC), machine(), self._service.target
        self._require_faults()
        async with AsyncOrderClient(target.base_url, headers=dict(target.headers), tls=target.tls) as client:
            before = await client.present_position()
            audience = self._audience(before)
            try:
                await self._follow(audience)
                began = time.monotonic()
                settled_s, waited_s = await self._load(audience)
                repeats = await ask_again(client, self._ledger)
                seen = await read_back(
                    client,
                    self._service,
                    audience,
                    repeats,
                    prefix=self._seed,
                    since=at,
                    after=before,
                    answered=self._traffic.position,
                )
                took_s = time.monotonic() - began
            finally:
                await audience.stop()
        operations, feed = self._meter.operations(), _feed(audience)
        lives, balance = audience.lives, close(self._ledger, seen, audience.records)
        return Report(
            at=at,
            name=self._name,
            scenario=self._scenario,
            base_url=target.base_url,
            own=self._service.own,
            run=self._seed,
            machine=surroundings,
            took_s=took_s,
            requests=self._scenario.requests,
            never_sent=self._meter.never_sent,
            operations=operations,
            phases=self._meter.phases(),
            seconds=self._meter.seconds(),
            feed=feed,
            lives=Lives(placed=percentiles(lives.accepted_to_placed), filled=percentiles(lives.accepted_to_filled)),
            settled_s=settled_s,
            waited_s=waited_s,
            unfilled=lives.unfilled,
            balance=balance,
            verdicts=judge(
                self._scenario,
                operations,
                requests=self._scenario.requests,
                never_sent=self._meter.never_sent,
                feed=feed,
                settled_s=waited_s if settled_s is None else settled_s,
                balance=balance,
            ),
        )

    def _audience(self, after: int) -> Audience:
        return Audience(
            self._service.target,
            sockets=self._scenario.sockets,
            prefix=self._seed,
            after=after,
            on_delay=lambda delay_s: self._meter.heard(self._traffic.now_s, delay_s),
        )

    def _require_faults(self) -> None:
        """Before anything is sent: that the exchange can be broken."""
        if self._scenario.breaks_exchange:
            self._service.set_faults({})

    async def _follow(self, audience: Audience) -> None:
        try:
            await audience.start(FOLLOW_S)
        except TimeoutError:
            raise CannotLoad(f"the sockets do not follow the feed of {self._service.target.base_url}") from None

    async def _load(self, audience: Audience) -> tuple[float | None, float]:
        """How long orders waited for the exchange afterwards (None: longer than we waited), and how long we waited."""
        gc.collect()
        gc.freeze()  # what is there stays: no long pause of our own while we measure
        sampling = asyncio.create_task(self._sample(audience))
        try:
            await self._traffic.run()
            await self._mend()
            return await self._settled(audience)
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)
            gc.unfreeze()

    async def _settled(self, audience: Audience) -> tuple[float | None, float]:
        began = time.monotonic()
        accepted = self._ledger.accepted.keys()
        within_s = self._scenario.thresholds.settled_s + SETTLE_SPARE_S
        if not await _until(lambda: not audience.waiting(accepted), within_s):
            return None, time.monotonic() - began
        settled_s = time.monotonic() - began
        await _until(lambda: not audience.lives.unfilled, FILL_S)
        return settled_s, time.monotonic() - began

    async def _begin_phase(self, number: int) -> None:
        phases = self._scenario.phases
        if number:
            await self._mend(number - 1)
        faults = phases[number].faults
        if faults is not None:
            await asyncio.to_thread(self._service.set_faults, faults.given)
        _say(f"{phases[number].name}: {phases[number].seconds:g} s, {phases[number].per_second:g} requests/s")

    async def _mend(self, number: int = -1) -> None:
        """Ends what a phase had set; other faults that a person has set stay."""
        faults = self._scenario.phases[number].faults
        if faults is not None:
            await asyncio.to_thread(self._service.set_faults, dict.fromkeys(faults.given, 0.0))

    async def _sample(self, audience: Audience) -> None:
        told_at = time.monotonic()
        while True:
            await asyncio.sleep(SAMPLE_S)
            states = {state: count for state, count in audience.lives.states.items() if count}
            self._meter.sampled(self._traffic.now_s, self._traffic.waiting, states)
            if time.monotonic() - told_at >= TELL_S:
                told_at = time.monotonic()
                waiting = audience.lives.waiting
                _say(f"{self._traffic.now_s:4.0f} s: {len(self._ledger.orders):,} orders sent, {waiting:,} wait")


def _feed(audience: Audience) -> Feed:
    return Feed(
        sockets=len(audience.records),
        messages=sum(record.messages for record in audience.records),
        cuts=audience.cuts,
        delays=percentiles(audience.delays),
        curve=audience.delays.curve(),
    )


async def _until(holds: Callable[[], bool], within_s: float) -> bool:
    give_up_at = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > give_up_at:
            return False
        await asyncio.sleep(SAMPLE_S / 5)
    return True


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
