"""What `make bench-rebuild` makes of what it measures."""

from datetime import UTC, datetime

import msgspec

from load.rebuild_load import READS, WRITES, Measured, Pair, Plan, Report, filled_events, table


def measured(p99_ms: float) -> Measured:
    return Measured(p50_ms=1.0, p99_ms=p99_ms, worst_ms=p99_ms, answers={"200": 10})


def pair(without_ms: float, with_ms: float, *, rebuilt_events: int = 0) -> Pair:
    without, beside = measured(without_ms), measured(with_ms)
    return Pair(
        without={READS: without, WRITES: without},
        with_rebuild={READS: beside, WRITES: beside},
        rebuilt_events=rebuilt_events,
    )


def printed(*told: tuple[str, str, int]) -> bytes:
    """Lines of progress, with a position, and of what is done, with the number of events."""
    field = {"progress": "position", "done": "events"}
    return b"\n".join(
        msgspec.json.encode({"type": kind, "projection": name, field[kind]: number}) for kind, name, number in told
    )


def test_the_ratio_is_taken_within_each_pair_of_rounds() -> None:
    pairs = [pair(10, 11), pair(20, 60), pair(10, 20, rebuilt_events=5_000)]
    report = Report(at=datetime(2026, 1, 1, tzinfo=UTC), machine={}, plan=Plan(seconds=10), pairs=pairs)
    lines = table(report).splitlines()
    assert [line.split()[-2:] for line in lines if line.startswith("3 ")] == [["2.00", "500"], ["2.00", "500"]]
    assert lines[-1].startswith("p99 of writes, with / without: median 2.00, quartiles ")


def test_events_count_of_rebuilds_that_ended_and_of_the_one_that_was_stopped() -> None:
    assert filled_events(b"") == 0
    ended = [("progress", "trades", 100), ("progress", "trades", 900), ("done", "trades", 1_000)]
    assert filled_events(printed(*ended)) == 1_000
    stopped = [("progress", "orders", 200), ("progress", "orders", 500)]
    assert filled_events(printed(*ended[:2], *stopped, ended[2])) == 1_300  # what is done is told at the end
