"""The duties that this process works on: a bounded window over the table, in memory.

Each order is worked on by one task at a time. Due ones come oldest first; those that wait come at their time. The
window is a hint: what it says may be old, and the claim on the log settles who acts.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from heapq import heappop, heappush
from uuid import UUID

from msgspec.structs import replace

from exchange_adapter.bounds import PROBE_CHOICE, REFILL_BELOW, UNSENT_RESERVE, WINDOW_DUTIES
from exchange_adapter.policy import Seen
from exchange_adapter.work.duty import Duty
from exchange_adapter.work.in_hand import WorkInHand
from orders.domain.values import Delivery


class Entry:
    """One order's duty and what this process knows of it. `busy`: a task works on it."""

    __slots__ = (
        "busy",
        "cancel_lost",
        "cancel_lost_at",
        "cancel_refusal",
        "changed",
        "claimed_cancel",
        "claimed_replace",
        "doubt_since",
        "due_at",
        "duty",
        "failing_since",
        "for_person",
        "gone",
        "held",
        "named_by",
        "replace_lost_at",
        "seen",
        "unsure_claim",
        "waits_since",
    )

    def __init__(self, duty: Duty) -> None:
        self.duty = duty
        self.seen = Seen()
        self.busy = False
        self.changed = False  # while busy
        self.gone = False
        self.due_at: float | None = None
        self.doubt_since: tuple[int, float] | None = None  # the newest attempt we know of, and since when
        self.failing_since: float | None = None
        self.unsure_claim = False  # a claim of ours may stand, and no call followed
        self.claimed_replace: UUID | None = None  # a replace that is ours to send
        self.replace_lost_at: float | None = None  # since when its answer is lost
        self.claimed_cancel: UUID | None = None  # a cancel that no one tried before us
        self.cancel_lost: UUID | None = None  # one that may have reached the venue without an answer to us
        self.cancel_lost_at: float | None = None  # when that happened last
        self.cancel_refusal = ""  # what the venue said
        self.held: str | None = None  # why nothing is done, as it was logged
        self.waits_since: float | None = None  # since when it may wait for ever
        self.for_person: str | None = None  # why, once that has lasted
        self.named_by: list[tuple[int, WorkInHand]] = []  # messages that wait for it, and for which version

    def looked_at(self, version: int) -> None:
        """What a message named was found at this version of the order, and is in the log or the table from now on."""
        for named, message in self.named_by:
            if named <= version:
                message.settle()
        if self.named_by:
            self.named_by = [(named, message) for named, message in self.named_by if named > version]

    def failed(self) -> None:
        """Its turn ended badly, and not since the database is away. It may do so for ever: the messages that named it
        are settled, since a few that are not would keep all others of their shard away. It is in the window meanwhile,
        and in the table."""
        self.looked_at(self.duty.version)

    @property
    def can_leave(self) -> bool:
        """Whether all that is known of it here is in the table too, but for how often and when it was tried."""
        seen = self.seen
        mine = self.unsure_claim or seen.never_called or seen.unwanted_answered
        requests = (self.claimed_replace, self.claimed_cancel, self.cancel_lost, seen.replace_lost, seen.cancel_refused)
        lost = (self.replace_lost_at, self.cancel_lost_at)
        return not (self.busy or mine) and all(one is None for one in (*requests, *lost))

    @property
    def urgent(self) -> bool:
        """Needs no venue: an attempt without its call, which is to be recorded whatever the venue does."""
        return self.duty.delivery is Delivery.SENDING


class DutyWindow:
    def __init__(self, limit: int = WINDOW_DUTIES, refill_below: int = REFILL_BELOW) -> None:
        self._limit = limit
        self._sent_limit = limit - min(UNSENT_RESERVE, limit // 4)
        self._refill_below = refill_below
        self._shards: Collection[int] = frozenset()
        self._entries: dict[UUID, Entry] = {}
        self._due: list[tuple[int, int, Entry]] = []
        self._urgent: list[tuple[int, int, Entry]] = []
        self._later: list[tuple[float, int, Entry]] = []
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def hungry(self) -> bool:
        """Few are left: the table may have more."""
        return len(self._entries) < self._refill_below

    @property
    def room(self) -> int:
        return max(0, self._limit - len(self._entries))

    @property
    def busy_shards(self) -> frozenset[int]:
        """Where a task works on an order, own shards or not."""
        return frozenset(entry.duty.shard for entry in self._entries.values() if entry.busy)

    def for_person(self) -> Iterator[tuple[UUID, str]]:
        """Orders that a person should hear of, and why."""
        for order_id, entry in self._entries.items():
            if entry.for_person is not None:
                yield order_id, entry.for_person

    def get(self, order_id: UUID) -> Entry | None:
        return self._entries.get(order_id)

    def put(self, duties: Iterable[Duty]) -> None:
        """New duties of our shards, and newer states of known ones. What finds no room stays in the table: of sent
        orders, what would take the places reserved for unsent ones."""
        sent_room = self._sent_room()
        for duty in duties:
            entry = self._entries.get(duty.order_id)
            if entry is None:
                if duty.shard not in self._shards or len(self._entries) >= self._limit:
                    continue
                if not is_unsent(duty):
                    if sent_room <= 0:
                        continue
                    sent_room -= 1
                entry = self._entries[duty.order_id] = Entry(duty)
                self._make_due(entry)
            elif duty.version > entry.duty.version:
                entry.duty = duty
                if entry.busy:
                    entry.changed = True
                else:
                    self._make_due(entry)

    def put_named(self, duty: Duty, message: WorkInHand) -> bool:
        """A duty that a message named: that is told once a turn has looked at it, or it is known to wait for its time.
        False where there is no room for it."""
        entry = self._entries.get(duty.order_id)
        if entry is None:
            self.make_room([duty])
            self.put([duty])
            entry = self._entries.get(duty.order_id)
            if entry is None:
                return False
        elif duty.version > entry.duty.version:
            self.put([replace(duty, since_position=entry.duty.since_position)])
        elif entry.due_at is not None and not entry.busy:
            message.settle()
            return True
        entry.named_by = [(named, one) for named, one in entry.named_by if not one.gone]  # sent again, it is new
        entry.named_by.append((duty.version, message))
        return True

    def remove(self, order_ids: Iterable[UUID]) -> None:
        """Settled elsewhere. One that is being worked on leaves by its task."""
        for order_id in order_ids:
            entry = self._entries.get(order_id)
            if entry is not None and not entry.busy:
                self._leave(entry)

    def own(self, shards: Collection[int]) -> None:
        """Drops what belongs to others; what a task works on leaves when that ends."""
        self._shards = shards
        for entry in list(self._entries.values()):
            if entry.duty.shard not in shards and not entry.busy:
                self._drop(entry)

    def make_room(self, fresh: Iterable[Duty]) -> None:
        """Drops what waits longest, so that these find room; the table brings it back. Queued orders make room for any,
        others for unsent ones only."""
        wanted = [duty for duty in fresh if duty.shard in self._shards and duty.order_id not in self._entries]
        if len(wanted) <= self.room:
            return
        waiting = [one for one in self._later if _waits(one[2]) and one[2].due_at == one[0] and one[2].can_leave]
        longest = [entry for _, _, entry in sorted(waiting, reverse=True)]
        for entry in [entry for entry in longest if is_unsent(entry.duty)][: len(wanted) - self.room]:
            self._leave(entry)
        unsent = sum(map(is_unsent, wanted))
        for entry in [entry for entry in longest if not entry.gone][: max(0, unsent - self.room)]:
            self._leave(entry)

    def take(self, now: float, *, urgent_only: bool = False, least_tried: bool = False) -> Entry | None:
        """The oldest due entry (or, of the oldest ones, that which was tried least), busy from now on."""
        while self._later and self._later[0][0] <= now:
            due_at, _, waited = heappop(self._later)
            if _waits(waited) and waited.due_at == due_at:
                self._make_due(waited)
        entry = self._oldest(self._urgent)
        if entry is None and not urgent_only:
            entry = self._least_tried() if least_tried else self._oldest(self._due)
        if entry is not None:
            entry.busy, entry.changed = True, False
        return entry

    def put_back(self, entry: Entry, due_at: float, version: int = 0) -> None:
        """Its task is done for now, having seen the order at `version`; what is newer is due at once."""
        entry.busy = False
        if entry.duty.shard not in self._shards:
            self._drop(entry)
        elif entry.changed and entry.duty.version > version:
            self._make_due(entry)
        else:
            entry.due_at = due_at
            self._numbers += 1
            heappush(self._later, (due_at, self._numbers, entry))

    def finish(self, entry: Entry, version: int) -> None:
        """Nothing is left to do at `version` of the order."""
        entry.busy = False
        if entry.changed and entry.duty.version > version and entry.duty.shard in self._shards:
            self._make_due(entry)
        elif entry.duty.shard in self._shards:
            self._leave(entry)
        else:
            self._drop(entry)

    def next_due_at(self) -> float | None:
        while self._later and not (_waits(self._later[0][2]) and self._later[0][2].due_at == self._later[0][0]):
            heappop(self._later)
        return self._later[0][0] if self._later else None

    def _sent_room(self) -> int:
        """How many more duties of sent orders may come in; counted only where it may be few."""
        if len(self._entries) <= self._sent_limit // 2:
            return self._sent_limit - len(self._entries)
        return self._sent_limit - sum(not is_unsent(entry.duty) for entry in self._entries.values())

    def _oldest(self, heap: list[tuple[int, int, Entry]]) -> Entry | None:
        while heap:
            entry = heappop(heap)[2]
            if _waits(entry) and entry.due_at is None:
                return entry
        return None

    def _least_tried(self) -> Entry | None:
        oldest: list[Entry] = []
        while len(oldest) < PROBE_CHOICE and (entry := self._oldest(self._due)) is not None:
            oldest.append(entry)
        chosen = min(oldest, key=lambda entry: entry.seen.tries, default=None)
        for entry in oldest:
            if entry is not chosen:
                self._make_due(entry)
        return chosen

    def _make_due(self, entry: Entry) -> None:
        entry.due_at = None
        self._numbers += 1
        heap = self._urgent if entry.urgent else self._due
        heappush(heap, (entry.duty.since_position, self._numbers, entry))
        if len(heap) > 2 * self._limit:  # mostly what was dropped or pushed twice
            live = {id(entry): (since, number, entry) for since, number, entry in heap if _waits(entry)}
            heap[:] = sorted(live.values())

    def _leave(self, entry: Entry) -> None:
        """What messages named is settled; where the shard is no longer ours, it is not for us to say so."""
        entry.looked_at(sys.maxsize)
        self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        entry.gone = True
        if self._entries.get(entry.duty.order_id) is entry:
            del self._entries[entry.duty.order_id]


def is_unsent(duty: Duty) -> bool:
    """Whether no call of it is known to have gone out."""
    return duty.delivery in (Delivery.QUEUED, Delivery.SENDING)


def _waits(entry: Entry) -> bool:
    return not entry.gone and not entry.busy
