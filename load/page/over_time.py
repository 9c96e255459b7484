"""What happened second by second: the plots that share the axis of time."""

from __future__ import annotations

from collections.abc import Callable

from load.page.plots import Band, Series, Time, columns, lines
from load.run.meter import Percentiles, Second
from load.run.report import Report

GROUPS = {
    "place": (
        "POST /orders",
        "From the moment at which the request was meant to leave to its answer, which is durable.",
    ),
    "read": ("GET of one order and of lists", "Lists wait until they hold what their process has committed."),
    "change": ("DELETE and PUT", "A change waits up to two seconds for the exchange, by contract."),
}
STATES = {
    "queued": ("wait to be sent", 1),
    "sending": ("are being sent", 4),
    "in_doubt": ("in doubt", 2),
    "parked": ("parked", 6),
}
FEW_S = 2  # seconds after the last thing that happened


def over_time(report: Report) -> str:
    time = Time(
        seconds=_shown_seconds(report),
        bands=[
            Band(name=phase.name, begin_s=phase.begin_s, end_s=phase.end_s, bad=bool(phase.faults))
            for phase in report.phases
        ],
    )
    seconds = report.seconds[: time.seconds]
    plots = [_throughput(time, seconds)]
    plots += [
        _plot(f"Latency of {title}", f"{text} Logarithmic.", _latencies(time, seconds, group))
        for group, (title, text) in GROUPS.items()
        if any(group in second.latencies for second in seconds)
    ]
    plots += [_backlog(time, seconds), _feed(time, seconds)]
    if any(second.waiting for second in seconds):
        waiting = Series(name="requests whose user is still busy", colour=5, values=[one.waiting for one in seconds])
        text = "Requests that were meant to have left, and wait for a user who waits for an answer."
        plots.append(_plot("The driver's own backlog", text, columns(time, [waiting], unit="")))
    shading = " Shaded red: the exchange is broken on purpose." if any(band.bad for band in time.bands) else ""
    return (
        f'<section><h2>Second by second</h2><p class="soft">After the last phase, orders settle.{shading}</p>'
        + "".join(plots)
        + "</section>"
    )


def _throughput(time: Time, seconds: list[Second]) -> str:
    series = [
        Series(name="answered as asked", colour=1, values=[one.done for one in seconds]),
        Series(name="refused by the rules (400, 409, 422)", colour=2, values=[one.refused for one in seconds]),
        Series(name="failed", colour=6, values=[one.failed for one in seconds]),
    ]
    meant = Series(name="meant to leave", colour=0, values=[one.meant for one in seconds])
    text = "Answers by the second in which they came, against the requests that were meant to leave in it."
    return _plot("Throughput", text, columns(time, series, unit="/s", target=meant))


def _latencies(time: Time, seconds: list[Second], group: str) -> str:
    return _percentile_lines(time, [second.latencies.get(group) for second in seconds])


def _feed(time: Time, seconds: list[Second]) -> str:
    text = (
        "From an order's own time, which it gets before its commit, to its message on each of the sockets. Logarithmic."
    )
    return _plot("Delay of the feed", text, _percentile_lines(time, [second.feed for second in seconds]))


def _percentile_lines(time: Time, measured: list[Percentiles | None]) -> str:
    shown: list[tuple[str, int, Callable[[Percentiles], float]]] = [
        ("p50", 4, lambda one: one.p50_ms),
        ("p90", 1, lambda one: one.p90_ms),
        ("p99", 2, lambda one: one.p99_ms),
    ]
    series = [
        Series(name=name, colour=colour, values=[read(one) if one else None for one in measured])
        for name, colour, read in shown
    ]
    return lines(time, series, unit="ms", log=True)


def _backlog(time: Time, seconds: list[Second]) -> str:
    series = [
        Series(name=words, colour=colour, values=[one.states.get(state, 0) for one in seconds])
        for state, (words, colour) in STATES.items()
        if state in ("queued", "sending") or any(one.states.get(state) for one in seconds)
    ]
    text = "Accepted orders that the exchange has not confirmed yet, by what is known of them, as the feed tells."
    return _plot("Orders on their way to the exchange", text, columns(time, series, unit=""))


def _plot(title: str, text: str, drawn: str) -> str:
    return f'<div class="plot"><h3>{title}</h3><p class="soft">{text}</p>{drawn}</div>'


def _shown_seconds(report: Report) -> int:
    """To the end of the load, or of what waited after it."""
    load_s = int(report.phases[-1].end_s)
    busy = [number for number, one in enumerate(report.seconds) if one.done or one.feed or _waiting(one)]
    return min(len(report.seconds), max(load_s, *busy, 0) + FEW_S) if busy else len(report.seconds)


def _waiting(second: Second) -> int:
    return sum(second.states.get(state, 0) for state in STATES if state != "parked")
