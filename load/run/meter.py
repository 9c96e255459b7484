"""What the requests of a load came to: by operation, by phase and by second.

A latency counts from the time that the request was meant to leave (load/open_loop.py says why) and belongs to that
second and phase; an answer counts for the throughput of the second in which it came.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from load.run.latencies import Curve, Latencies
from load.run.users import EXPECTED
from load.scenarios import OPERATIONS, Operation, Phase

MAX_SECONDS = 4 * 3_600  # of a run, its settling included; what is later counts for the last one
SECOND_DIGITS = 2  # of the histograms of one second, of which there are many
GROUPS: dict[Operation, str] = {
    "place": "place",
    "get": "read",
    "list": "read",
    "cancel": "change",
    "replace": "change",
}
"""Operations that are shown together over time: a change waits up to 2 s for the exchange, by contract."""


class Percentiles(Struct, frozen=True, kw_only=True):
    """Milliseconds; all 0 where nothing was measured."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    worst_ms: float


class OperationResult(Struct, frozen=True, kw_only=True):
    """`answers` counts by status, and by reason what has none; `failed` of them should not be. What has none is among
    the latencies with the time that it was waited for."""

    operation: Operation
    requests: int
    failed: int
    answers: dict[str, int]
    latencies: Percentiles
    curve: Curve

    @property
    def answered(self) -> int:
        """Those that have a status."""
        return sum(count for answer, count in self.answers.items() if answer.isdigit())


class PhaseResult(Struct, frozen=True, kw_only=True):
    name: str
    begin_s: float
    end_s: float
    per_second: float
    faults: str
    requests: int
    failed: int
    latencies: dict[str, Percentiles]  # by group


class Second(Struct, kw_only=True):
    """`done`, `refused` and `failed` count answers; `waiting` are requests that found no free user, at its end."""

    meant: int = 0
    done: int = 0
    refused: int = 0
    failed: int = 0
    waiting: int = 0
    states: dict[str, int] = {}
    latencies: dict[str, Percentiles] = {}
    feed: Percentiles | None = None


class _Measured:
    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.failed = 0
        self.latencies = Latencies()


class Meter:
    def __init__(self, phases: list[Phase]) -> None:
        self.never_sent = 0
        self._operations = {operation: _Measured() for operation in OPERATIONS}
        self._phases = phases
        self._by_phase = [{group: Latencies() for group in set(GROUPS.values())} for _ in phases]
        self._phase_counts = [Counter[str]() for _ in phases]
        self._seconds: list[Second] = []
        self._by_second: dict[tuple[int, str], Latencies] = {}
        self._feed: dict[int, Latencies] = {}

    def meant(self, due_s: float, phase: int) -> None:
        """A request is meant to leave, that many seconds after the beginning."""
        self._second(due_s).meant += 1
        self._phase_counts[phase]["requests"] += 1

    def answered(self, operation: Operation, phase: int, due_s: float, now_s: float, status: int) -> None:
        one, second = self._operations[operation], self._second(now_s)
        one.answers[str(status)] += 1
        self._took(operation, phase, due_s, now_s)
        if status not in EXPECTED[operation]:
            self._failed(one, second, phase)
        elif status >= 400:
            second.refused += 1
        else:
            second.done += 1

    def lost(self, operation: Operation, phase: int, due_s: float, now_s: float, reason: str) -> None:
        """A request without an answer took as long as it was waited for, or a service that hangs would look fast."""
        one = self._operations[operation]
        one.answers[reason] += 1
        self._took(operation, phase, due_s, now_s)
        self._failed(one, self._second(now_s), phase)

    def dropped(self, phase: int, now_s: float) -> None:
        """A request that never left, since every user was busy and too many waited already."""
        self.never_sent += 1
        self._second(now_s).failed += 1
        self._phase_counts[phase]["failed"] += 1

    def heard(self, now_s: float, delay_s: float) -> None:
        """A message of the feed."""
        key = self._index(now_s)
        if key not in self._feed:
            self._feed[key] = Latencies(SECOND_DIGITS)
        self._feed[key].add(delay_s)

    def sampled(self, now_s: float, waiting: int, states: dict[str, int]) -> None:
        second = self._second(now_s)
        second.waiting, second.states = waiting, states

    def operations(self) -> list[OperationResult]:
        return [
            OperationResult(
                operation=operation,
                requests=one.answers.total(),
                failed=one.failed,
                answers=dict(sorted(one.answers.items())),
                latencies=percentiles(one.latencies),
                curve=one.latencies.curve(),
            )
            for operation, one in self._operations.items()
        ]

    def phases(self) -> list[PhaseResult]:
        results, begin_s = [], 0.0
        for number, phase in enumerate(self._phases):
            counts = self._phase_counts[number]
            results.append(
                PhaseResult(
                    name=phase.name,
                    begin_s=begin_s,
                    end_s=begin_s + phase.seconds,
                    per_second=phase.per_second,
                    faults=phase.faults.words if phase.faults else "",
                    requests=counts["requests"],
                    failed=counts["failed"],
                    latencies={group: percentiles(one) for group, one in sorted(self._by_phase[number].items())},
                )
            )
            begin_s += phase.seconds
        return results

    def seconds(self) -> list[Second]:
        for index, second in enumerate(self._seconds):
            second.latencies = {
                group: percentiles(self._by_second[index, group])
                for group in dict.fromkeys(GROUPS.values())
                if (index, group) in self._by_second
            }
            second.feed = percentiles(self._feed[index]) if index in self._feed else None
        return self._seconds

    def _took(self, operation: Operation, phase: int, due_s: float, now_s: float) -> None:
        group, latency_s = GROUPS[operation], now_s - due_s
        self._operations[operation].latencies.add(latency_s)
        self._by_phase[phase][group].add(latency_s)
        key = (self._index(due_s), group)
        if key not in self._by_second:
            self._by_second[key] = Latencies(SECOND_DIGITS)
        self._by_second[key].add(latency_s)

    def _failed(self, one: _Measured, second: Second, phase: int) -> None:
        one.failed += 1
        second.failed += 1
        self._phase_counts[phase]["failed"] += 1

    def _index(self, at_s: float) -> int:
        return min(max(0, int(at_s)), MAX_SECONDS - 1)

    def _second(self, at_s: float) -> Second:
        index = self._index(at_s)
        while len(self._seconds) <= index:
            self._seconds.append(Second())
        return self._seconds[index]


def percentiles(latencies: Latencies) -> Percentiles:
    p50, p90, p99, worst = latencies.percentiles_ms((50, 90, 99, 100))
    return Percentiles(count=latencies.count, p50_ms=p50, p90_ms=p90, p99_ms=p99, worst_ms=worst)
