"""The log as it grows, on the event loop."""

import asyncio
from collections.abc import AsyncIterator
from threading import Event

import pytest

from orders.eventstore.live_log import HANDED_OVER, LiveLog
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Recorded, StoreUnavailable
from tests.support.log_events import unit

pytestmark = pytest.mark.anyio
WITHIN_S = 10.0


class FaultyStore(MemoryEventStore):
    """`away` refuses reads, and `broken` fails them as no store should; `batches` counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.away = Event()
        self.broken = Event()
        self.refused = Event()
        self.batches = 0

    def read_log(self, *, after: int, limit: int) -> list[Recorded]:
        if self.away.is_set():
            self.refused.set()
            raise StoreUnavailable("away")
        if self.broken.is_set():
            self.refused.set()
            raise ZeroDivisionError
        found = super().read_log(after=after, limit=1)
        self.batches += bool(found)
        return found


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
async def live(store: FaultyStore) -> AsyncIterator[LiveLog]:
    store.append([unit(events=3)])
    live = LiveLog(store, store.hints)
    await live.start()
    yield live
    live.close()


def positions(seen: list[Recorded]) -> list[int]:
    return [event.position for event in seen]


async def test_it_begins_at_the_head_and_hands_out_everything_after_it(live: LiveLog, store: FaultyStore) -> None:
    seen: list[Recorded] = []
    live.listen(seen.extend)
    assert live.position == 3
    store.append([unit(events=2), unit()])
    assert await live.wait_for(6, WITHIN_S)
    assert positions(seen) == [4, 5, 6]
    assert live.position == 6


async def test_waiting_for_what_is_there_already_does_not_wait(live: LiveLog) -> None:
    assert await live.wait_for(3, 0)
    assert await live.wait_for(0, 0)


async def test_waiting_in_vain_ends_in_time(live: LiveLog, store: FaultyStore) -> None:
    assert not await live.wait_for(4, 0.01)
    assert live._waiters == []
    store.append([unit()])
    assert await live.wait_for(4, WITHIN_S)


async def test_each_waits_for_its_own_position(live: LiveLog, store: FaultyStore) -> None:
    waits = [asyncio.ensure_future(live.wait_for(position, WITHIN_S)) for position in (6, 4, 5)]
    gives_up = asyncio.ensure_future(live.wait_for(5, WITHIN_S))
    beyond = asyncio.ensure_future(live.wait_for(7, WITHIN_S))
    await asyncio.sleep(0)
    gives_up.cancel()
    store.append([unit(events=3)])
    assert await asyncio.gather(*waits) == [True, True, True]
    assert not beyond.done()
    beyond.cancel()


async def test_one_that_stopped_listening_is_not_called(live: LiveLog, store: FaultyStore) -> None:
    seen: list[Recorded] = []
    stop_listening = live.listen(seen.extend)
    store.append([unit()])
    assert await live.wait_for(4, WITHIN_S)
    stop_listening()
    stop_listening()
    store.append([unit()])
    assert await live.wait_for(5, WITHIN_S)
    assert positions(seen) == [4]


async def test_a_callback_that_raises_harms_no_other(live: LiveLog, store: FaultyStore) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))

    def fail(batch: list[Recorded]) -> None:
        raise ZeroDivisionError

    seen: list[Recorded] = []
    live.listen(fail)
    live.listen(seen.extend)
    store.append([unit()])
    assert await live.wait_for(4, WITHIN_S)
    assert positions(seen) == [4]
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_after_an_outage_it_goes_on_without_a_gap(live: LiveLog, store: FaultyStore) -> None:
    seen: list[Recorded] = []
    live.listen(seen.extend)
    store.away.set()
    store.append([unit(events=2)])
    assert await asyncio.to_thread(store.refused.wait, WITHIN_S)
    assert live.position == 3
    store.away.clear()
    assert await live.wait_for(5, WITHIN_S)
    assert positions(seen) == [4, 5]


async def test_what_nobody_foresaw_ends_no_thread(live: LiveLog, store: FaultyStore) -> None:
    seen: list[Recorded] = []
    live.listen(seen.extend)
    store.broken.set()
    store.append([unit(events=2)])
    assert await asyncio.to_thread(store.refused.wait, WITHIN_S)
    store.broken.clear()
    assert await live.wait_for(5, WITHIN_S)
    assert positions(seen) == [4, 5]


async def test_a_loop_that_is_behind_is_not_flooded(live: LiveLog, store: FaultyStore) -> None:
    most_ahead = 0

    def look(batch: list[Recorded]) -> None:
        nonlocal most_ahead
        most_ahead = max(most_ahead, store.batches - (live.position - 3))

    live.listen(look)
    store.append([unit(events=200)])
    assert await live.wait_for(203, WITHIN_S)
    assert 1 <= most_ahead <= HANDED_OVER + 1


async def test_a_closed_one_hands_out_nothing(live: LiveLog, store: FaultyStore) -> None:
    live.close()
    store.append([unit()])
    assert not await live.wait_for(4, 0.05)


async def test_starting_needs_the_store(store: FaultyStore) -> None:
    store.close()
    with pytest.raises(Exception, match="closed"):
        await LiveLog(store, store.hints).start()
