"""The balance of a load: every order that was accepted is in exactly one state, and nothing else is there.

    accepted = queued + sending + in_doubt + parked + working + filled + canceled + expired + rejected

Pure: it reads orders as the API shows them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

STATES = ("queued", "sending", "in_doubt", "parked", "working", "filled", "canceled", "expired", "rejected")
MAX_EXAMPLES = 20  # findings that are told in full; of the rest only the number is kept

_ENDED = {"Executed": "filled", "Canceled": "canceled", "Expired": "expired", "Rejected": "rejected"}
_OPEN = {"queued": "queued", "sending": "sending", "in_doubt": "in_doubt", "parked": "parked", "acked": "working"}


class DoesNotClose(Exception):
    """`str()` is the balance as it stands, with what was found."""


class Findings(Struct):
    """What is wrong, counted by name; the first of them in full. Empty (false) where all is well."""

    counts: Counter[str] = msgspec.field(default_factory=Counter)
    examples: list[str] = []

    def add(self, name: str, text: str) -> None:
        self.counts[name] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(f"{name}: {text}")

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        lines = [f"FOUND {example}" for example in self.examples]
        if self.counts.total() > len(self.examples):
            lines.append(f"FOUND {self.counts.total()} in all: {counted(self.counts)}")
        return "\n".join(lines)


class Balance(Struct):
    """`states` has only names of STATES. Findings: missing (accepted, and not shown), unknown (shown, and nobody was
    told that it was accepted), double (shown more than once), stateless (shown in a state that is none of these)."""

    accepted: int
    states: Counter[str]
    findings: Findings

    @property
    def closes(self) -> bool:
        return not self.findings and self.accepted == self.states.total()

    def require(self) -> None:
        """Raises DoesNotClose."""
        if not self.closes:
            raise DoesNotClose(str(self))

    def __str__(self) -> str:
        lines = sums(self.states, self.accepted, closes=self.closes)
        return "\n".join([*lines, str(self.findings)] if self.findings else lines)


def balance(accepted: Iterable[str], orders: Iterable[Mapping[str, Any]]) -> Balance:
    """`accepted`: the ids of every order that a client was told is accepted; one told twice counts once. `orders`: what
    the API shows of them (`order_id`, `status`, `delivery`); read once, so it may be pages that come one by one."""
    awaited = set(accepted)
    seen: set[str] = set()
    told = Balance(len(awaited), Counter(), Findings())
    for order in orders:
        order_id, state = order["order_id"], state_of(order)
        if order_id in seen:
            told.findings.add("double", f"{order_id} is shown more than once")
            continue
        seen.add(order_id)
        if order_id not in awaited:
            told.findings.add("unknown", f"{order_id} is shown, and nobody was told that it was accepted")
        elif state is None:
            shown = f"{order.get('status')}/{order.get('delivery')}"
            told.findings.add("stateless", f"{order_id} is shown as {shown}, which is no state")
        else:
            told.states[state] += 1
    for order_id in awaited - seen:
        told.findings.add("missing", f"{order_id} was accepted and is not shown")
    return told


def sums(states: Mapping[str, int], accepted: int, *, closes: bool) -> list[str]:
    """The balance as lines of a table, state by state."""
    rows = [(state, states.get(state, 0)) for state in STATES]
    lines = [f"{name:14}{count:>12,}" for name, count in [*rows, ("sum", sum(states.values()))]]
    return [*lines, f"{'accepted':14}{accepted:>12,}  {'closes' if closes else 'DOES NOT CLOSE'}"]


def state_of(order: Mapping[str, Any]) -> str | None:
    """The one of STATES that the order is in; None where it is in none."""
    status = order.get("status")
    return _OPEN.get(order.get("delivery", "")) if status == "Placed" else _ENDED.get(str(status))


def counted(counts: Mapping[str, int]) -> str:
    """For a line of text: "3 filled, 1 parked"."""
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
