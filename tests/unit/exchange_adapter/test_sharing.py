"""How shards are shared out: everything has one owner, and nobody has two more than another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exchange_adapter.sharing import Heartbeats, share_of, surplus_of
from orders.shards import SHARDS

SHARD_SETS = st.frozensets(st.integers(0, SHARDS - 1))
WORKERS = st.lists(st.text("abcdef", min_size=1), unique=True, min_size=1, max_size=80)


@given(WORKERS, st.integers(0, 200))
def test_the_shares_of_all_add_up_and_differ_by_one_at_most(living: list[str], shards: int) -> None:
    shares = [share_of(worker, living, shards) for worker in living]
    assert sum(shares) == shards
    assert max(shares) - min(shares) <= 1


@given(WORKERS)
def test_who_does_not_live_or_leaves_has_no_share(living: list[str]) -> None:
    assert share_of("another", living, SHARDS) == 0


@given(WORKERS)
def test_one_who_comes_takes_from_others_and_gives_to_nobody(living: list[str]) -> None:
    after = [share_of(worker, [*living, "last"], SHARDS) for worker in living]
    assert all(share_of(worker, living, SHARDS) >= share for worker, share in zip(living, after, strict=True))


@given(SHARD_SETS, st.integers(0, SHARDS), SHARD_SETS, SHARD_SETS)
def test_just_what_is_too_much_is_given_up_what_drains_already_and_what_is_at_rest_first(
    held: frozenset[int], share: int, draining: frozenset[int], busy: frozenset[int]
) -> None:
    surplus = surplus_of(held, share, draining=draining, busy=busy)
    assert surplus <= held
    assert len(held - surplus) == min(len(held), share)
    assert draining & held <= surplus or surplus <= draining
    fresh, kept = surplus - draining, held - surplus - draining
    assert not fresh & busy or kept <= busy


def test_a_worker_is_silent_when_its_heartbeat_stood_still_for_so_many_of_ours() -> None:
    heartbeats = Heartbeats(frozen_after=3)
    assert [heartbeats.silent({"a": 1, "b": n}) for n in range(5)] == [{}, {}, {}, {"a": 1}, {"a": 1}]
    assert heartbeats.silent({"a": 2, "b": 9}) == {}


def test_a_worker_that_was_away_meanwhile_starts_anew() -> None:
    heartbeats = Heartbeats(frozen_after=2)
    assert [heartbeats.silent(seen) for seen in ({"a": 1}, {"a": 1}, {}, {"a": 1}, {"a": 1})] == [{}] * 5
    assert heartbeats.silent({"a": 1}) == {"a": 1}


class Sharing(RuleBasedStateMachine):
    """Workers in any order of steps, each with a view of who lives that may be old, over one table of locks."""

    @initialize()
    def begin(self) -> None:
        self.locks: dict[int, str] = {}
        self.living: list[str] = []
        self.seen: dict[str, list[str]] = {}
        self.draining: dict[str, frozenset[int]] = {}
        self.busy: dict[str, frozenset[int]] = {}
        self.names = 0

    def held(self, worker: str) -> frozenset[int]:
        return frozenset(shard for shard, owner in self.locks.items() if owner == worker)

    @rule()
    def come(self) -> None:
        self.names += 1
        worker = f"worker-{self.names}"
        self.living.append(worker)
        self.seen[worker], self.draining[worker], self.busy[worker] = [], frozenset(), frozenset()

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.living))
        self.living.remove(worker)
        self.locks = {shard: owner for shard, owner in self.locks.items() if owner != worker}

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        self.seen[data.draw(st.sampled_from(self.living))] = list(self.living)

    @precondition(lambda self: self.living)
    @rule(data=st.data(), busy=SHARD_SETS)
    def work(self, data: st.DataObject, busy: frozenset[int]) -> None:
        """Turns end anywhere, and begin in shards that do not drain."""
        worker = data.draw(st.sampled_from(self.living))
        may_begin = self.held(worker) - self.draining[worker]
        self.busy[worker] = busy & (may_begin | self.busy[worker])

    @precondition(lambda self: self.living)
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        self.move_one(data.draw(st.sampled_from(self.living)))

    def move_one(self, worker: str) -> None:
        held, share = self.held(worker), share_of(worker, self.seen[worker], SHARDS)
        draining = surplus_of(held, share, draining=self.draining[worker], busy=self.busy[worker])
        for shard in draining - self.busy[worker]:
            del self.locks[shard]
        self.draining[worker] = draining & self.busy[worker]
        free = [shard for shard in range(SHARDS) if shard not in self.locks]
        self.locks.update(dict.fromkeys(free[: max(0, share - len(held))], worker))

    @invariant()
    def where_a_turn_runs_nobody_else_owns(self) -> None:
        for worker in getattr(self, "living", ()):
            assert self.busy[worker] <= self.held(worker)

    def teardown(self) -> None:
        """Once all see the same and turns end, two rounds are enough: everything is owned, and fairly."""
        for worker in self.living:
            self.seen[worker], self.busy[worker] = list(self.living), frozenset()
        for worker in self.living * 2:
            self.move_one(worker)
        shares = [len(self.held(worker)) for worker in self.living]
        assert sum(shares) == (SHARDS if shares else 0)
        assert not shares or max(shares) - min(shares) <= 1
        before = dict(self.locks)
        for worker in self.living:
            self.move_one(worker)
        assert self.locks == before, "what is fair does not move"


TestSharing = Sharing.TestCase
