"""explain: an order's life in plain words."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from typing import Any

import click

from order_service.cli.client import Api, api, object_of, rows_of
from order_service.cli.explanation import Explanation, Step, explain
from order_service.cli.order_ids import ID_ARGUMENT
from order_service.cli.output import JSON_OPTION, coloured, print_json
from order_service.configuration.settings import load_settings
from order_service.errors import NotFoundError, RefusedError, ServiceError
from order_service.logs.printable import printable

_HELD = ("in_doubt", "parked")


@click.command("explain")
@ID_ARGUMENT
@JSON_OPTION
def explain_order(order_id: str, as_json: bool) -> None:
    """Explain an order: what happened and when, by what proof, what it waits for, and what can be done."""
    with api(load_settings()) as service:
        path, order = _found(service, order_id)
        pages = service.pages(f"{path}/events", {"as_of": order["position"]})
        events = list(chain.from_iterable(pages))
        explanation = explain(order, events, _held(service, order), own=path.startswith("/orders"))
    if as_json:
        print_json(explanation)
    else:
        _print(explanation)


def _found(service: Api, order_id: str) -> tuple[str, dict[str, Any]]:
    """Where the order is shown, and how: among the caller's own, or to operators."""
    path = f"/orders/{order_id}"
    try:
        return path, object_of(service.call("GET", path))
    except (NotFoundError, RefusedError) as not_own:
        try:
            return f"/ops{path}", object_of(service.call("GET", f"/ops{path}"))
        except RefusedError:
            raise not_own from None


def _held(service: Api, order: dict[str, Any]) -> dict[str, Any] | None:
    """What operators see of it; a key that may read orders need not be one of theirs."""
    if order["status"] != "Placed" or order["delivery"] not in _HELD:
        return None
    try:
        found = rows_of(service.call("GET", "/ops/parked", params={"order_id": order["order_id"]}))
    except ServiceError:
        return None
    return found[0] if found else None


def _print(told: Explanation) -> None:
    title = printable(f"{told.order_id}: {told.order}")
    click.echo(click.style(title, bold=True) if coloured() else title)
    click.echo(printable(f"It {told.state}.") + "\n")
    for step, before in zip(told.steps, [None, *told.steps], strict=False):
        click.echo(f"  {_time(step, before)}  {_after(step.after_s)}  #{step.position}  {_words(step)}")
    click.echo("\n" + printable(f"Waiting for: {told.waiting_for or 'nothing; it has ended'}."))
    if told.can_do:
        click.echo("What can be done:")
    for command in told.can_do:
        click.echo(f"  {printable(command)}")


def _time(step: Step, before: Step | None) -> str:
    """With its day where that is another than before."""
    at = datetime.fromisoformat(step.at)
    if before is not None and datetime.fromisoformat(before.at).date() == at.date():
        return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}".rjust(23)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"


def _after(seconds: float) -> str:
    return f"{seconds:+.3f} s".rjust(11)


def _words(step: Step) -> str:
    words = printable(" ".join(step.what.split()))
    return f"{words} [{step.proof}]" if step.proof else words


commands = {"explain": explain_order}
