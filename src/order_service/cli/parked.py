"""parked list, retry and resolve: what an operator does about orders that are held. workers, alerts: what is there to
be seen of the adapters."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from order_service.cli.client import Api, api, object_of, rows_of
from order_service.cli.order_ids import require_id
from order_service.cli.output import JSON_OPTION, on_terminal, print_json, print_json_lines, print_rows
from order_service.cli.program import DONE, FAILED, NOT_FOUND, UNREACHABLE
from order_service.configuration.settings import load_settings

_COLUMNS = (
    "order_id",
    "delivery",
    "symbol",
    "side",
    "quantity",
    "limit_price",
    "attempts",
    "attempts_in_doubt",
    "worker",
    "worker_alive",
    "attempted_at",
    "since",
    "pending",
    "needs_person",
    "can",
    "not_placed_from",
    "reason",
)
_ON_TERMINAL = {
    "order_id": "order",
    "terms": "terms",
    "delivery": "is",
    "needs_person": "needs you",
    "since": "since",
    "reason": "reason",
}
"""What a line of a terminal has room for; tab-separated output has _COLUMNS, JSON everything."""

_TIMES = ("attempted_at", "since", "not_placed_from", "started_at", "seen_at", "last_at")
_DONE = ("retried", "resolved", "would be retried", "would be resolved")
_COLOURS = {"refused": "yellow", "unknown": "red", "failed": "red"}


@click.group()
def parked() -> None:
    """Orders that wait for a person, or may soon: parked ones, and those in doubt.

    An order is in doubt when no one knows whether the exchange has it; it is parked when it failed again and again
    while others passed.
    """


@parked.command("list")
@click.option("--worker", help="Only those whose last attempt was this worker's.")
@click.option("--delivery", type=click.Choice(["in_doubt", "parked"]))
@click.option("--symbol", help="A symbol or an instrument code.")
@click.option("--limit", type=click.IntRange(1, 1000), help="At most this many; 100 without it.")
@click.option("--all", "all_pages", is_flag=True, help="All that there are, page by page; with --json as JSON lines.")
@JSON_OPTION
def list_held(as_json: bool, all_pages: bool, limit: int | None, **filters: str | None) -> None:
    """List orders in doubt and parked, oldest first."""
    if all_pages and limit is not None:
        raise click.UsageError("--all and --limit exclude each other")
    params: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    with api(load_settings()) as service:
        if not all_pages:
            answer = service.call("GET", "/ops/parked", params={**params, "limit": limit or 100})
            found = rows_of(answer)
            print_json(found) if as_json else _print_held(found)
            if "next" in answer.links:
                click.echo("there are more: --all lists them", err=True)
            return
        for number, page in enumerate(service.pages("/ops/parked", {**params, "limit": 1000})):
            print_json_lines(page) if as_json else _print_held(page, header=number == 0)


def _chosen(command: Callable[..., None]) -> Callable[..., None]:
    """The options that retry and resolve share."""
    for option in (
        JSON_OPTION,
        click.option("--yes", is_flag=True, help="Do not ask before many orders are changed."),
        click.option("--dry-run", is_flag=True, help="Only say what would be done."),
        click.option("--reason", required=True, help="Why; the order's history keeps it."),
        click.option(
            "--until", type=click.IntRange(0), help="With --all or --worker: none that changed after this position."
        ),
        click.option("--all", "everything", is_flag=True, help="All that wait for a person."),
        click.option("--worker", help="All whose last attempt was this worker's; it must be gone."),
        click.argument("order_ids", metavar="[ID]...", nargs=-1),
    ):
        command = option(command)
    return command


@parked.command()
@_chosen
def retry(**how: Any) -> None:
    """Send parked orders again: these, a worker's, or all.

    Exit code 1 where some were refused, 5 where the service could not do some; 3 if there is no order of this ID, or
    none of this worker; 4 if a single order is not parked, or the worker lives.
    """
    _act("retry", {}, **how)


@parked.command()
@_chosen
@click.option("--placed/--not-placed", default=None, help="Whether the exchange has them: ask it first.")
def resolve(placed: bool | None, **how: Any) -> None:
    """Say of orders in doubt whether the exchange has them: of these, a worker's, or all.

    Not placed counts only when no attempt can arrive any more: some seconds after the last one, and as long as the
    exchange declares. An exchange that declares no bound may take an order even later: then your word stands for it,
    and a wrong one places the order twice.

    --all leaves out orders that the service goes on with by itself: name one, or its dead worker, to settle it.

    Exit code 1 where some were refused, 5 where the service could not do some; 3 if there is no order of this ID, or
    none of this worker; 4 if a single order is not in doubt or not placed does not count yet, or the worker lives.
    """
    if placed is None:
        raise click.UsageError("say what became of them: --placed or --not-placed")
    _act("resolve", {"outcome": "placed" if placed else "not_placed"}, **how)


def _act(
    action: str,
    more: dict[str, Any],
    *,
    order_ids: tuple[str, ...],
    worker: str | None,
    everything: bool,
    until: int | None,
    reason: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    if [bool(order_ids), worker is not None, everything].count(True) != 1:
        raise click.UsageError("name orders, or give --worker, or --all")
    if order_ids and until is not None:
        raise click.UsageError("--until goes with --worker or --all")
    body: dict[str, Any] = {**more, "reason": reason, "dry_run": dry_run}
    with api(load_settings()) as service:
        if len(order_ids) == 1:
            _show_results([_one(service, action, order_ids[0], body)], as_json)
            return
        if not order_ids and not dry_run and not yes:
            _confirm(action, worker, more)
        chosen: dict[str, Any] = {"worker": worker} if worker is not None else {"all": True}
        if until is not None:
            chosen["until"] = until
        requests = [{**body, "order_ids": part} for part in _parts(order_ids)] or [{**body, **chosen}]
        answers: list[dict[str, Any]] = []
        try:
            for request in requests:
                answers.extend(_pages(service, action, request))
        finally:  # what was done before the service became unreachable
            _show_results([result for answer in answers for result in answer["results"]], as_json)
    outcomes = Counter(result["result"] for answer in answers for result in answer["results"])
    _sum_up(outcomes, sum(answer["skipped"] for answer in answers))
    if dry_run and not order_ids:
        click.echo(f"--until {answers[0]['as_of']} keeps to these", err=True)
    sys.exit(_exit_code(outcomes, worker))


def _sum_up(outcomes: Counter[str], skipped: int) -> None:
    counted = ", ".join(f"{count} {name}" for name, count in outcomes.items())
    click.echo(counted or "there are none", err=True)
    if skipped:
        text = "left out: the service goes on with them by itself; to settle one, name it"
        click.echo(f"{skipped} {text}", err=True)


def _exit_code(outcomes: Counter[str], worker: str | None) -> int:
    if "failed" in outcomes:
        return UNREACHABLE
    if not outcomes:
        return DONE if worker is None else NOT_FOUND
    if set(outcomes) <= set(_DONE):
        return DONE
    return NOT_FOUND if set(outcomes) == {"unknown"} else FAILED


def _one(service: Api, action: str, order_id: str, body: dict[str, Any]) -> dict[str, Any]:
    require_id(order_id)
    return object_of(service.call("POST", f"/ops/parked/{order_id}/{action}", json=body))


def _pages(service: Api, action: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Until no more are left. All pages keep to what there was at the first."""
    while True:
        answer = object_of(service.call("POST", f"/ops/parked/{action}", json=body))
        yield answer
        if not answer["more"]:
            return
        body = {**body, "until": body.get("until", answer["as_of"]), "cursor": answer["cursor"]}


def _parts(order_ids: Sequence[str], size: int = 1000) -> list[Sequence[str]]:
    return [order_ids[start : start + size] for start in range(0, len(order_ids), size)]


def _confirm(action: str, worker: str | None, more: dict[str, Any]) -> None:
    whose = "all orders" if worker is None else f"all orders of worker {worker}"
    held = "that are parked" if action == "retry" else f"in doubt, as {more['outcome'].replace('_', ' ')}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"this would {action} {whose} {held}: give --yes, or --dry-run to see which")
    click.confirm(f"{action} {whose} {held}?", abort=True, err=True)


@click.command()
@JSON_OPTION
def workers(as_json: bool) -> None:
    """List the adapter processes, and how each does."""
    with api(load_settings()) as service:
        found = rows_of(service.call("GET", "/ops/workers"))
    if as_json:
        print_json(found)
        return
    figures = ("calls_running", "calls_hanging", "breaker_open_s", "duties")
    rows = [
        {**row, "shards": len(row["shards"]), **{name: row["figures"].get(name) for name in figures}} for row in found
    ]
    columns = ("worker", "venue", "alive", "age_s", "started_at", "shards", "reads_reports", *figures)
    _print(rows, columns, {name: name.replace("_", " ") for name in columns})


@click.command()
@JSON_OPTION
def alerts(as_json: bool) -> None:
    """List the open alerts, by kind."""
    with api(load_settings()) as service:
        found = rows_of(service.call("GET", "/ops/alerts"))
    if as_json:
        print_json(found)
        return
    rows = [{**row, "first": _first(row["examples"])} for row in found]
    columns = ("kind", "alerts", "since", "last_at", "first")
    _print(rows, columns, {name: name.replace("_", " ") for name in columns})


def _first(examples: list[dict[str, Any]]) -> str:
    return f"{examples[0]['key']}: {examples[0]['detail']}" if examples else ""


def _print_held(rows: Sequence[dict[str, Any]], *, header: bool = True) -> None:
    told = [{**row, "terms": f"{row['side']} {row['quantity']} {row['symbol']}"} for row in rows]
    _print(told, _COLUMNS, _ON_TERMINAL, header=header)


def _print(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], shown: dict[str, str], *, header: bool = True
) -> None:
    if on_terminal():
        print_rows([*shown.values()], [[_short(name, row.get(name)) for name in shown] for row in rows])
    else:
        print_rows(columns, [[_joined(row.get(name)) for name in columns] for row in rows], header=header)


def _short(name: str, value: Any) -> Any:
    """Times to the second, with a space where a line may be broken."""
    return str(value)[:19].replace("T", " ") if name in _TIMES and value is not None else _joined(value)


def _joined(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _show_results(results: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(results)
    elif results:
        columns = ("order_id", "result", "reason")
        rows = [[result.get(name) for name in columns] for result in results]
        print_rows(columns, rows, colour_of=lambda row: _COLOURS.get(row[1], ""))


commands = {"parked": parked, "workers": workers, "alerts": alerts}
