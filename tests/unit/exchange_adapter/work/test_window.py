"""The window: oldest first, one at a time, bounded."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from exchange_adapter.work.duty import Duty
from exchange_adapter.work.window import DutyWindow
from orders.domain.values import Delivery


def duty(since: int, *, version: int = 1, delivery: Delivery = Delivery.QUEUED, shard: int = 0) -> Duty:
    return Duty(
        order_id=UUID(int=since),
        shard=shard,
        since_position=since,
        position=since,
        version=version,
        symbol="EURUSD",
        delivery=delivery,
    )


def window(*duties: Duty, limit: int = 100) -> DutyWindow:
    made = DutyWindow(limit, refill_below=2)
    made.own(range(64))
    made.put(duties)
    return made


def taken(window: DutyWindow, now: float = 0.0, **how: bool) -> int | None:
    entry = window.take(now, **how)
    return None if entry is None else entry.duty.since_position


def test_the_oldest_comes_first() -> None:
    shelf = window(duty(3), duty(1), duty(2))
    assert [taken(shelf) for _ in range(4)] == [1, 2, 3, None]


def test_an_order_is_worked_on_by_one_task_at_a_time() -> None:
    shelf = window(duty(1))
    assert taken(shelf) == 1
    shelf.put([duty(1, version=2)])
    assert taken(shelf) is None


def test_what_changed_while_it_was_worked_on_is_due_again_at_once() -> None:
    shelf = window(duty(1))
    entry = shelf.take(0.0)
    assert entry is not None
    shelf.put([duty(1, version=5)])
    shelf.finish(entry, 4)
    assert taken(shelf) == 1
    shelf.finish(entry, 5)
    assert (taken(shelf), len(shelf)) == (None, 0)


def test_news_of_what_the_task_itself_has_seen_does_not_bring_it_back() -> None:
    shelf = window(duty(1))
    entry = shelf.take(0.0)
    assert entry is not None
    shelf.put([duty(1, version=3)])
    shelf.put_back(entry, 10.0, 3)
    assert taken(shelf, 9.9) is None
    assert taken(shelf, 10.0) == 1


def test_what_waits_comes_at_its_time() -> None:
    shelf = window(duty(1), duty(2))
    first, second = shelf.take(0.0), shelf.take(0.0)
    assert first is not None
    assert second is not None
    shelf.put_back(first, 7.0)
    shelf.put_back(second, 5.0)
    assert shelf.next_due_at() == 5.0
    assert taken(shelf, 4.9) is None
    assert taken(shelf, 5.0) == 2
    assert shelf.next_due_at() == 7.0


def test_a_newer_state_calls_a_waiting_order_forward() -> None:
    shelf = window(duty(1))
    entry = shelf.take(0.0)
    assert entry is not None
    shelf.put_back(entry, 30.0)
    shelf.put([duty(1, version=2)])
    assert taken(shelf) == 1


def test_an_attempt_without_its_call_needs_no_venue() -> None:
    shelf = window(duty(1), duty(2, delivery=Delivery.SENDING))
    assert taken(shelf, urgent_only=True) == 2
    assert taken(shelf, urgent_only=True) is None
    assert taken(shelf) == 1


def test_the_least_tried_of_the_oldest_can_be_asked_for() -> None:
    shelf = window(duty(1), duty(2), duty(3))
    first = shelf.take(0.0)
    assert first is not None
    first.seen = replace(first.seen, tries=4)
    shelf.put_back(first, 0.0)
    assert taken(shelf, least_tried=True) == 2
    assert [taken(shelf), taken(shelf)] == [1, 3]


def test_only_duties_of_own_shards_are_taken_in() -> None:
    shelf = window()
    shelf.own({1, 2})
    shelf.put([duty(1, shard=1), duty(2, shard=3)])
    assert [taken(shelf), taken(shelf)] == [1, None]


def test_what_belongs_to_others_leaves_and_what_is_worked_on_leaves_afterwards() -> None:
    shelf = window(duty(1, shard=1), duty(2, shard=2))
    busy = shelf.take(0.0)
    assert busy is not None
    shelf.own(())
    assert len(shelf) == 1
    shelf.put_back(busy, 1.0)
    assert len(shelf) == 0
    assert taken(shelf, 2.0) is None


def test_the_window_is_bounded_and_makes_room_only_by_what_waits() -> None:
    shelf = window(duty(1), duty(2), duty(3), limit=2)
    assert (len(shelf), shelf.room) == (2, 0)
    waiting = shelf.take(0.0)
    assert waiting is not None
    shelf.put_back(waiting, 30.0)
    shelf.make_room(2)
    assert len(shelf) == 1
    shelf.put([duty(3)])
    assert [taken(shelf), taken(shelf)] == [2, 3]


def test_what_is_in_doubt_does_not_make_room() -> None:
    shelf = window(duty(1, delivery=Delivery.IN_DOUBT), limit=1)
    waiting = shelf.take(0.0)
    assert waiting is not None
    shelf.put_back(waiting, 30.0)
    shelf.make_room(1)
    assert len(shelf) == 1


def test_its_heaps_do_not_grow_with_news() -> None:
    shelf = window(duty(1), limit=10)
    for version in range(2, 2_000):
        shelf.put([duty(1, version=version)])
    assert len(shelf._due) < 50


def test_it_is_hungry_when_few_are_left() -> None:
    shelf = window(duty(1), duty(2))
    assert not shelf.hungry
    shelf.remove([UUID(int=1)])
    assert shelf.hungry
    assert taken(shelf) == 2
