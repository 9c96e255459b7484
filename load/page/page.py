"""The page, from a report: a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from load.balance import STATES
from load.page.over_time import over_time
from load.page.plots import curves, number
from load.run.report import Report, Verdict
from load.run.users import ROUTES

STYLE = Path(__file__).with_name("page.css")
COLOURS = {"place": 1, "get": 4, "list": 5, "cancel": 2, "replace": 3}
STATE_WORDS = {
    "queued": "waits to be sent",
    "sending": "is being sent",
    "in_doubt": "in doubt",
    "parked": "parked",
    "working": "works at the exchange",
    "filled": "executed",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "rejected by the exchange",
}


def page(report: Report) -> str:
    """HTML that needs nothing beside it."""
    title = f"Load report: {report.name}"
    parts = [
        _head(report),
        _cards(report),
        _thresholds(report.verdicts),
        _balance(report),
        over_time(report),
        _percentiles(report),
        _operations(report),
        _phases(report),
        _surroundings(report),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    badge = '<span class="badge good">Passed</span>' if report.passed else '<span class="badge wrong">Failed</span>'
    where = "a service of its own, started for this run" if report.own else f"the service at {report.base_url}"
    return (
        f"<header><div><h1>Load report: {escape(report.name)}</h1>"
        f'<p>{escape(report.scenario.about)}<br><span class="soft">{report.at:%d %B %Y, %H:%M} UTC, against '
        f"{escape(where)}</span></p></div>{badge}</header>"
    )


def _cards(report: Report) -> str:
    place = next(one for one in report.operations if one.operation == "place")
    answers = sum(one.answered for one in report.operations)
    failed = report.never_sent + sum(one.failed for one in report.operations)
    placed = report.lives.placed
    cards = [
        (f"{report.balance.accepted:,}", "orders accepted"),
        (f"{answers / report.scenario.seconds:,.0f} /s", f"answers, {answers:,} in all"),
        (f"{number(place.latencies.p99_ms)} ms", "p99 of POST /orders"),
        (f"{failed:,}", f"failed of {report.requests:,} requests"),
        (f"{number(report.feed.delays.p99_ms)} ms", "p99 until the feed has told of an order"),
        (f"{number(placed.p50_ms)} ms", "median until an order is at the exchange"),
    ]
    drawn = "".join(
        f'<div class="card"><b>{escape(big)}</b><small>{escape(small)}</small></div>' for big, small in cards
    )
    return f'<div class="cards">{drawn}</div>'


def _thresholds(verdicts: Sequence[Verdict]) -> str:
    rows = [
        (
            f"<td>{escape(one.name)}</td><td>{number(one.found)} {one.unit}</td>"
            f"<td>{'at most' if one.at_most else 'at least'} {one.bound:g} {one.unit}</td>"
            + _verdict(one.holds, "holds", "missed")
        )
        for one in verdicts
    ]
    return "<section><h2>Thresholds</h2>" + _table(("", "Measured", "Bound", ""), rows) + "</section>"


def _percentiles(report: Report) -> str:
    named = [(ROUTES[one.operation], COLOURS[one.operation], one.curve) for one in report.operations]
    return (
        "<section><h2>Latency by percentile</h2>"
        '<p class="soft">How long the slowest one in ten, in a hundred, in a thousand takes. Every latency counts from '
        "the moment at which the request was meant to leave, so that a service that stalls is charged for all that "
        "waited meanwhile. A request without an answer took as long as it was waited for."
        "</p>" + curves(named) + "</section>"
    )


def _operations(report: Report) -> str:
    rows = []
    for one in report.operations:
        if not one.requests:
            continue
        times = one.latencies
        answers = ", ".join(f"{count:,} × {escape(answer)}" for answer, count in one.answers.items())
        milliseconds = (times.p50_ms, times.p90_ms, times.p99_ms, times.worst_ms)
        rows.append(
            f"<td>{ROUTES[one.operation]}</td><td>{one.requests:,}</td>"
            + _verdict(not one.failed, f"{one.failed:,}", f"{one.failed:,}")
            + "".join(f"<td>{number(value)}</td>" for value in milliseconds)
            + f'<td class="words">{answers}</td>'
        )
    heads = ("", "Requests", "Failed", "p50 ms", "p90 ms", "p99 ms", "Worst ms", ("words", "Answers"))
    return (
        "<section><h2>Requests</h2>"
        '<p class="soft">A change of an order waits up to two seconds for the exchange (202 says that it goes on '
        "waiting); 400, 409 and 422 refuse what came too late: the order had ended, or another change was under way."
        "</p>" + _table(heads, rows) + "</section>"
    )


def _phases(report: Report) -> str:
    if len(report.phases) < 2:
        return ""
    rows = []
    for one in report.phases:
        place = one.latencies["place"]
        rows.append(
            f"<td>{escape(one.name)}</td><td>{one.end_s - one.begin_s:g} s</td><td>{one.per_second:g}</td>"
            f"<td>{one.requests:,}</td>"
            + _verdict(not one.failed, f"{one.failed:,}", f"{one.failed:,}")
            + f"<td>{number(place.p50_ms)}</td><td>{number(place.p99_ms)}</td><td>{number(place.worst_ms)}</td>"
            f'<td class="words">{escape(one.faults) or "none"}</td>'
        )
    heads = ("", "Length", "Meant /s", "Requests", "Failed", "POST p50 ms", "p99 ms", "Worst ms", ("words", "Faults"))
    return "<section><h2>Phases</h2>" + _table(heads, rows) + "</section>"


def _balance(report: Report) -> str:
    balance = report.balance
    states = [f"<td>{STATE_WORDS[state]}</td><td>{balance.states.get(state, 0):,}</td>" for state in STATES]
    rows = [f"<tr>{cells}</tr>" for cells in states]
    rows.append(f'<tr class="sum"><td>Sum</td><td>{sum(balance.states.values()):,}</td></tr>')
    accepted = _verdict(balance.closes, f"{balance.accepted:,}", f"{balance.accepted:,}")
    rows.append(f'<tr class="sum"><td>Accepted</td>{accepted}</tr>')
    checks = []
    for check in balance.checks:
        told = "".join(f"<li>{escape(finding)}</li>" for finding in check.findings)
        findings = f'<ul class="findings">{told}</ul>' if told else ""
        checks.append(
            f"<td>{escape(check.name)}{findings}</td><td>{escape(check.looked_at)}</td>"
            + _verdict(check.holds, "holds", "wrong")
        )
    closes = "It closes." if balance.closes else "It does not close."
    unanswered = f", {balance.unanswered:,} never answered" if balance.unanswered else ""
    refused = ", ".join(f"{count:,} refused with {status}" for status, count in balance.refused.items())
    heads = "<thead><tr><th>State</th><th>Orders</th></tr></thead>"
    return (
        "<section><h2>The balance of orders</h2>"
        f"<p>Every order that was sent is accounted for afterwards: {balance.sent:,} sent, {balance.accepted:,} "
        f"accepted{', ' + refused if refused else ''}{unanswered}. <b>{closes}</b></p>"
        f'<div class="two"><table>{heads}<tbody>{"".join(rows)}</tbody></table>'
        + _table(("Compared afterwards", "Looked at", ""), checks)
        + "</div></section>"
    )


def _surroundings(report: Report) -> str:
    scenario = report.scenario
    mix = ", ".join(f"{weight:g} {name}" for name, weight in scenario.mix.items())
    model = {"users": "each has a turn of its own", "arrivals": "whoever is free takes the next request"}[
        scenario.model
    ]
    facts = {
        "Users": f"{scenario.users}; {model}",
        "Sockets": f"{scenario.sockets} on /ws, {report.feed.messages:,} messages, {report.feed.cuts} cuts",
        "Mix": mix,
        "Orders": f"{', '.join(scenario.orders.symbols)}; {100 * scenario.orders.limit_share:g} % limit, others market",
        "Settled": "not in the time allowed"
        if report.settled_s is None
        else f"{report.settled_s:.1f} s after the load; {report.unfilled:,} market orders not filled",
        "Run": f"{report.run}, {report.took_s:.0f} s in all",
        **report.machine,
    }
    drawn = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return (
        f"<section><h2>How it was measured</h2><dl>{drawn}</dl></section>"
        "<footer>The driver and all parts of the service shared this machine, unless the service was elsewhere. "
        "Percentiles come from HDR histograms, true to one part in a thousand. The numbers of this page are beside it "
        "as JSON.</footer>"
    )


def _table(heads: Iterable[str | tuple[str, str]], rows: Iterable[str]) -> str:
    """A head may come with a class. Rows are cells."""
    pairs = [("", head) if isinstance(head, str) else head for head in heads]
    drawn = "".join(
        f'<th class="{kind}">{escape(text)}</th>' if kind else f"<th>{escape(text)}</th>" for kind, text in pairs
    )
    body = "".join(f"<tr>{cells}</tr>" for cells in rows)
    return f'<div class="wide"><table><thead><tr>{drawn}</tr></thead><tbody>{body}</tbody></table></div>'


def _verdict(holds: bool, good: str, wrong: str) -> str:
    return f'<td class="good">{good}</td>' if holds else f'<td class="wrong">{wrong}</td>'
