"""The pool of threads: bounded, on demand, and never waiting for a call that hangs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from exchange_adapter.bounds import START_BOUND_S
from exchange_adapter.call_pool import Calls, Raised, TimedOut, TooLate
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio
SHORT_S = 0.02
LONG_S = 10.0


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds calls up; opened at the end, so that no thread is left behind."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_call_returns_what_the_function_returns() -> None:
    calls = Calls(2)
    seat = calls.take_seat()
    assert seat is not None
    assert await seat.call(lambda: 42, LONG_S) == 42
    seat.release()
    assert calls.busy == 0


async def test_whatever_the_function_raises_is_an_outcome() -> None:
    calls = Calls(2)
    seat = calls.take_seat()
    assert seat is not None

    def leave() -> None:
        raise SystemExit("a foreign function may even do this")

    assert await seat.call(leave, LONG_S) == Raised("SystemExit: a foreign function may even do this")
    assert await seat.call(lambda: 1, LONG_S) == 1, "its thread lives on"


async def test_a_call_is_not_made_when_the_start_bound_is_over() -> None:
    clock = [100.0]
    calls, made = Calls(2, monotonic=lambda: clock[0]), []
    seat = calls.take_seat()
    assert seat is not None
    clock[0] += START_BOUND_S + 0.001
    assert await seat.call(lambda: made.append(1), LONG_S, claimed_at=100.0) == TooLate()
    assert made == []
    await seat.call(lambda: made.append(1), LONG_S, claimed_at=101.0)
    assert made == [1]


async def test_seats_are_bounded() -> None:
    calls = Calls(2)
    seats = [calls.take_seat(), calls.take_seat()]
    assert calls.take_seat() is None
    assert seats[0] is not None
    seats[0].release()
    assert calls.take_seat() is not None


async def test_a_call_past_its_timeout_keeps_its_seat_until_it_returns(gate: threading.Event) -> None:
    calls, free = Calls(8), list[int]()
    calls.on_free = lambda: free.append(calls.busy)
    seat = calls.take_seat()
    assert seat is not None
    outcome = await seat.call(lambda: gate.wait(LONG_S) and "late", SHORT_S)
    seat.release()
    assert isinstance(outcome, TimedOut)
    assert (calls.busy, calls.lost, free) == (1, 1, [])
    gate.set()
    assert await outcome.ended == "late"
    assert (calls.busy, calls.lost, free) == (0, 0, [0])


@pytest.mark.parametrize(("limit", "enough"), [(1, 1), (2, 2), (3, 2), (4, 2), (8, 2), (9, 3), (12, 3), (500, 125)])
async def test_the_pool_is_exhausted_when_a_quarter_of_it_hangs_and_not_by_one_call_while_others_pass(
    limit: int, enough: int
) -> None:
    calls = Calls(limit, run=lambda job: None)  # no call ever returns
    for hanging in range(1, enough + 1):
        assert not calls.exhausted
        seat = calls.take_seat()
        assert seat is not None
        await seat.call(lambda: None, 0.0)
        seat.release()
        assert calls.lost == hanging
    assert calls.exhausted


async def test_a_closed_pool_begins_no_claimed_call_and_lets_those_that_run_end(gate: threading.Event) -> None:
    calls, began, made = Calls(2), threading.Event(), list[int]()
    first, second = calls.take_seat(), calls.take_seat()
    assert first is not None
    assert second is not None
    running = asyncio.ensure_future(first.call(lambda: began.set() or gate.wait(LONG_S), LONG_S))
    await asyncio.to_thread(began.wait, LONG_S)
    calls.close()
    assert await second.call(lambda: made.append(1), LONG_S, claimed_at=time.monotonic()) == TooLate()
    assert made == []
    gate.set()
    assert await running is True


async def test_many_calls_run_side_by_side_in_threads_that_are_used_again(gate: threading.Event) -> None:
    calls, names = Calls(50), set()
    running = 0
    lock = threading.Lock()

    def call() -> None:
        nonlocal running
        with lock:
            running += 1
            names.add(threading.current_thread().ident)
        gate.wait(LONG_S)

    async def one() -> None:
        seat = calls.take_seat()
        assert seat is not None
        await seat.call(call, LONG_S)
        seat.release()

    first = [asyncio.ensure_future(one()) for _ in range(50)]

    async def all_run() -> bool:
        return running == 50

    await wait_until_async(all_run)
    gate.set()
    await asyncio.gather(*first)
    assert len(names) == 50
    for _ in range(50):
        await one()
    assert len(names) <= 52, "idle threads take the next calls"


async def test_a_call_for_which_no_thread_can_be_started_is_not_made_and_not_made_later_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    calls, made = Calls(2), []
    seat = calls.take_seat()
    assert seat is not None
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        assert await seat.call(lambda: made.append(1), LONG_S) == TooLate()
    await seat.call(lambda: made.append(2), LONG_S)
    await seat.call(lambda: made.append(3), LONG_S)
    assert made == [2, 3]
    assert calls.running == 0
