"""What `make bench-rebuild` makes of what it measures."""

import msgspec

from load.open_loop import Phase
from load.rebuild_load import READS, WRITES, Plan, Round, contest, filled_events


def phase(p99_ms: float) -> Phase:
    measured = Phase("phase")
    for _ in range(10):
        measured.answered(200, p99_ms / 1000)
    return measured


def pair(without_ms: float, beside_ms: float, *, rebuilt_events: int = 0) -> Round:
    without, beside = phase(without_ms), phase(beside_ms)
    return Round(
        without={READS: without, WRITES: without},
        beside={READS: beside, WRITES: beside},
        rebuilt_events=rebuilt_events,
    )


def printed(*told: tuple[str, str, int]) -> bytes:
    """Lines of progress, with a position, and of what is done, with the number of events."""
    field = {"progress": "position", "done": "events"}
    return b"\n".join(
        msgspec.json.encode({"type": kind, "projection": name, field[kind]: number}) for kind, name, number in told
    )


def test_the_ratio_is_taken_within_each_pair_of_rounds() -> None:
    made = contest(Plan(seconds=10), READS, [pair(10, 11), pair(20, 60), pair(10, 20, rebuilt_events=5_000)])
    assert [round(ratio, 1) for ratio in made.ratios] == [1.1, 3.0, 2.0]
    assert made.pairs[2].figures["events/s rebuilt"] == 500
    assert made.notes[:2] == ["without: {'200': 10}", "beside a rebuild: {'200': 10}"]


def test_events_count_of_rebuilds_that_ended_and_of_the_one_that_was_stopped() -> None:
    assert filled_events(b"") == 0
    ended = [("progress", "trades", 100), ("progress", "trades", 900), ("done", "trades", 1_000)]
    assert filled_events(printed(*ended)) == 1_000
    assert filled_events(printed(*ended[:2]) + b"\nAborted!\n") == 800
    stopped = [("progress", "orders", 200), ("progress", "orders", 500)]
    assert filled_events(printed(*ended[:2], *stopped, ended[2])) == 1_300  # what is done is told at the end
