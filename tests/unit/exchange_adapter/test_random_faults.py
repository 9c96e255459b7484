"""Random orders, faults, crashes and outages: afterwards the log and the venue agree, and nothing was done twice."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_adapter.bounds import START_BOUND_S
from exchange_adapter.venue import VenueState
from orders.domain.errors import Refusal
from orders.domain.values import Capabilities, Delivery, Phase
from tests.support.adapter_floor import FULL, PLAIN, Floor, LostAnswer, Process, on_floor
from tests.support.model_venue import ModelVenue, Resting
from tests.support.virtual_time import pass_time

CALL_TIMEOUT_S = 3.0
ASKS = Capabilities(queries=True, cancels=True, replaces=True, late_arrival_s=20.0)
DEDUPLICATES = Capabilities(deduplicates=True, cancels=True, replaces=True, repeats_answers=True, late_arrival_s=20.0)
FORGETS = Capabilities(cancels=True, replaces=True)
RESENDS = Capabilities(resends_in_doubt=True)
VENUES = {
    "full": FULL,
    "asks": ASKS,
    "deduplicates": DEDUPLICATES,
    "forgets": FORGETS,
    "plain": PLAIN,
    "resends": RESENDS,
}
STEPS = 40
EXAMPLES = 15  # of each venue
SETTLED_AFTER_S = 100.0  # the longest backoff thrice, and some; what may arrive late comes on top


class Storm:
    """What befalls one floor."""

    def __init__(self, floor: Floor, seed: int) -> None:
        self.floor = floor
        self.random = Random(seed)
        self.venue = ModelVenue(floor.venue.capabilities, seed, CALL_TIMEOUT_S)
        self.orders: list[UUID] = []
        self.processes: list[Process] = []
        scripted, model = floor.venue, self.venue
        for method in ("submit", "cancel", "replace", "query"):
            answer = getattr(model, method)
            recorded = getattr(scripted, method)
            setattr(scripted, method, lambda asked, recorded=recorded, answer=answer: recorded(asked) and answer(asked))

    async def rage(self) -> None:
        self.start()
        for _ in range(STEPS):
            await pass_time(self.random.uniform(0.0, 1.5))
            await self._act()

    async def calm_down(self) -> None:
        self.venue.trouble = 0.0
        self.floor.appender.away = False
        self.floor.appender.faults.clear()
        await self.restart()
        late_s = self.floor.venue.capabilities.late_arrival_s or 0.0
        await pass_time(SETTLED_AFTER_S + START_BOUND_S + CALL_TIMEOUT_S + late_s)

    def start(self) -> None:
        self.processes.append(self.floor.start())

    async def restart(self) -> None:
        while self.processes:
            await self.processes.pop().crash()
        self.start()

    async def _act(self) -> None:
        match self.random.randrange(10):
            case 0 | 1 | 2 | 3:
                self.orders += self.floor.client.place(self.random.randint(1, 3), limit_price="1.10000")
            case 4:
                self._ask(self.floor.client.cancel)
            case 5:
                quantity = self.random.randint(1, 50)
                self._ask(lambda order_id: self.floor.client.replace(order_id, quantity=quantity))
            case 6:
                await self.restart()
            case 7:
                self.floor.appender.away = not self.floor.appender.away
            case 8:
                self.floor.appender.faults.append(LostAnswer())
            case 9 if len(self.processes) < 3:
                self.start()  # one that believes that it owns the same shards

    def _ask(self, ask: Callable[[UUID], None]) -> None:
        if self.orders:
            try:
                ask(self.random.choice(self.orders))
            except Refusal:
                return


def check_agreement(storm: Storm, order_id: UUID, resting: Resting | None) -> None:
    """Where all could be settled, the log says what the venue has."""
    order = storm.floor.order(order_id)
    state = (order.phase, order.delivery, order.pending_cancel, order.pending_replace)
    assert order.delivery in (Delivery.ACKED, Delivery.QUEUED), state
    assert order.pending_cancel is None, state
    assert order.pending_replace is None, state
    if order.delivery is Delivery.QUEUED:
        assert (order.phase, resting) == (Phase.CANCELED, None), "ended as never placed, and the venue never had it"
    elif order.phase is Phase.CANCELED:
        assert resting is not None
        assert resting.state is VenueState.CANCELED
    else:
        assert resting is not None
        assert (order.phase, resting.state) == (Phase.OPEN, VenueState.WORKING)
        assert (order.quantity, order.limit_price) == (resting.quantity, resting.limit_price)


@pytest.mark.parametrize("name", VENUES)
@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32))
def test_after_the_storm_nothing_was_done_twice_and_all_that_can_be_known_is_known(name: str, seed: int) -> None:
    capabilities = VENUES[name]

    async def test(floor: Floor) -> None:
        storm = Storm(floor, seed)
        await storm.rage()
        await storm.calm_down()
        if not (capabilities.deduplicates or capabilities.resends_blindly):
            assert all(count == 1 for count in storm.venue.arrivals.values()), "placed twice"
        if not capabilities.repeats_answers:
            assert all(count == 1 for count in storm.venue.sent.values() if count), "a replace sent twice"
        assert all(count == 1 for count in storm.venue.applied.values())
        for order_id in storm.orders:
            order, resting = floor.order(order_id), storm.venue.orders.get(order_id)
            assert order.delivery is not Delivery.SENDING
            if order.delivery is Delivery.ACKED:
                assert resting is not None, "acknowledged, and the venue never had it"
            if capabilities.resends_blindly:
                assert order.delivery is not Delivery.IN_DOUBT, "in doubt for ever"
            if capabilities.deduplicates or capabilities is ASKS:
                check_agreement(storm, order_id, resting)

    on_floor(test, capabilities, call_timeout_s=CALL_TIMEOUT_S)
