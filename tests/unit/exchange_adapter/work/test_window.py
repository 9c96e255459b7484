"""The window: oldest first, one at a time, bounded."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from exchange_adapter.work.duty import Duty
from exchange_adapter.work.in_hand import Verdict
from exchange_adapter.work.window import DutyWindow, Entry
from orders.domain.values import Delivery
from tests.support.messages import Delivered, naming


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
    shelf.make_room([duty(3), duty(4)])
    assert len(shelf) == 1
    shelf.put([duty(3)])
    assert [taken(shelf), taken(shelf)] == [2, 3]


def full_of_waiting(limit: int) -> tuple[DutyWindow, list[Entry]]:
    """Orders that were sent and are in doubt now; each waits for its next try, the later ones longer."""
    shelf = window(*map(duty, range(limit)), limit=limit)
    entries = [entry for _ in range(limit) if (entry := shelf.take(0.0)) is not None]
    for number, entry in enumerate(entries):
        entry.duty = replace(entry.duty, delivery=Delivery.IN_DOUBT)
        shelf.put_back(entry, 30.0 + number)
    return shelf, entries


def test_what_is_in_doubt_makes_room_for_new_orders_and_for_nothing_else() -> None:
    shelf, entries = full_of_waiting(4)
    shelf.make_room([duty(10, delivery=Delivery.IN_DOUBT)])
    assert len(shelf) == 4
    shelf.make_room([duty(10)])
    shelf.put([duty(10)])
    assert (len(shelf), entries[3].gone, taken(shelf)) == (4, True, 10)


def test_what_only_this_process_knows_stays() -> None:
    shelf, entries = full_of_waiting(4)
    entries[0].claimed_replace = UUID(int=1)
    entries[1].cancel_lost = UUID(int=2)
    entries[2].unsure_claim = True
    entries[3].seen = replace(entries[3].seen, cancel_refused=UUID(int=3))
    shelf.make_room([duty(10)])
    assert len(shelf) == 4


def test_what_cannot_leave_does_not_keep_what_can_from_leaving() -> None:
    shelf, entries = full_of_waiting(4)
    entries[3].claimed_cancel = UUID(int=1)  # waits longest
    shelf.make_room([duty(10)])
    assert (len(shelf), entries[2].gone) == (3, True)


def test_a_part_of_the_window_is_for_unsent_orders_alone() -> None:
    shelf = window(*(duty(number, delivery=Delivery.IN_DOUBT) for number in range(8)), limit=8)
    assert len(shelf) == 6
    shelf.put(map(duty, range(8, 20)))
    assert len(shelf) == 8


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


def named(shelf: DutyWindow, one: Duty) -> Delivered:
    message = naming(one.order_id)
    message.work.names(1)
    assert shelf.put_named(one, message.work)
    return message


def test_a_message_is_done_when_its_order_was_looked_at_as_new_as_it_said() -> None:
    shelf = window(duty(1))
    entry = shelf.take(0.0)
    assert entry is not None
    first, second = named(shelf, duty(1)), named(shelf, duty(1, version=3))
    entry.looked_at(2)
    assert (first.verdict, second.verdict) == (Verdict.DONE, None)
    shelf.finish(entry, 2)
    again = shelf.take(0.0)
    assert again is entry, "what changed meanwhile is due again"
    shelf.finish(entry, 3)
    assert second.verdict is Verdict.DONE


def test_a_message_does_not_wait_for_an_order_that_waits_for_its_time() -> None:
    shelf = window(duty(1))
    entry = shelf.take(0.0)
    assert entry is not None
    shelf.put_back(entry, 30.0, 1)
    assert named(shelf, duty(1)).verdict is Verdict.DONE
    assert taken(shelf) is None, "its time has not come"
    assert named(shelf, duty(1, version=2)).verdict is None
    assert taken(shelf) == 1, "what is new does not wait"


def test_a_full_window_takes_what_a_message_names_once_there_is_room() -> None:
    shelf = window(duty(1), duty(2), limit=2)
    message = naming(duty(3).order_id)
    message.work.names(1)
    assert not shelf.put_named(duty(3), message.work)
    entry = shelf.take(0.0)
    assert entry is not None
    shelf.finish(entry, 1)
    assert shelf.put_named(duty(3), message.work)
    assert message.verdict is None
    assert len(shelf) == 2


def test_who_leaves_the_window_for_the_table_or_is_settled_there_leaves_no_message_behind() -> None:
    shelf = window(duty(1), duty(2), limit=2)
    first, second = shelf.take(0.0), shelf.take(0.0)
    assert first is not None
    assert second is not None
    messages = [named(shelf, duty(1, version=2)), named(shelf, duty(2, version=2))]
    for entry in (first, second):
        shelf.put_back(entry, 30.0, 2)
    shelf.remove([duty(1).order_id])
    shelf.put([duty(3)])
    shelf.make_room([duty(4)])
    assert [message.verdict for message in messages] == [Verdict.DONE] * 2


def test_an_order_keeps_no_message_whose_connection_is_lost() -> None:
    shelf = window(duty(1))
    for _ in range(5):
        named(shelf, duty(1)).work.lose()
    last = named(shelf, duty(1))
    entry = shelf.take(0.0)
    assert entry is not None
    assert [message for _, message in entry.named_by] == [last.work]
