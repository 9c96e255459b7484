"""What `orders show ID --history` prints."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from order_service.cli.output import on_terminal, print_json_lines, print_rows

_COLUMNS = (
    *("position", "version", "at", "event", "by", "evidence", "reason", "status", "ord_status"),
    *("fields", "changed"),
)
_ON_TERMINAL = {
    "position": "position",
    "at": "at",
    "event": "event",
    "by": "by",
    "evidence": "evidence",
    "what": "what",
    "reason": "why",
}
"""What a line of a terminal has room for; tab-separated output has _COLUMNS, JSON everything."""


def print_history(pages: Iterable[list[dict[str, Any]]], as_json: bool) -> None:
    """Page by page where it is for another program; a terminal's table needs all to be as wide as it must."""
    if as_json:
        for page in pages:
            print_json_lines(page)
    elif on_terminal():
        print_rows([*_ON_TERMINAL.values()], [_line(event, _ON_TERMINAL) for event in chain.from_iterable(pages)])
    else:
        for number, page in enumerate(pages):
            print_rows(_COLUMNS, [_line(event, _COLUMNS) for event in page], header=number == 0)


def _line(event: dict[str, Any], columns: Iterable[str]) -> list[Any]:
    """`fields` are the event's own, as `exec_id e1; quantity 4`; `changed` the order's, as `status Placed > Executed`,
    and of what was not there before only what it is; `what` is both."""
    fields = "; ".join(f"{name} {value}" for name, value in (event.get("fields") or {}).items() if value is not None)
    changed = "; ".join(
        _change(name, one.get("before"), one.get("after")) for name, one in (event.get("changed") or {}).items()
    )
    shown = {**event, "fields": fields, "changed": changed, "what": "; ".join(filter(None, (fields, changed)))}
    if on_terminal():
        shown["at"] = str(event.get("at"))[:19]
    return [shown.get(name) for name in columns]


def _change(name: str, before: Any, after: Any) -> str:
    return f"{name} {after}" if before is None else f"{name} {before} > {'-' if after is None else after}"
