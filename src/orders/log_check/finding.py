"""What a check of the log finds."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from msgspec import Struct

from orders.bounds import MAX_LOG_FINDINGS

What = Literal[
    "changed_event",
    "removed_events",
    "inserted_event",
    "swapped_events",
    "moved_events",
    "missing_tail",
    "missing_position",
    "broken_link",
    "cut_chain",
    "other_chain",
    "chain_behind",
    "chain_stopped",
    "unknown_event",
    "unreadable_event",
    "missing_version",
    "position_out_of_order",
    "wrong_state",
]


class LogFinding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`text` is for a person. `position` is the first one concerned, `last_position` the last of several; `order_id`
    and `version` name the event as it is stored now."""

    what: What
    text: str
    position: int
    last_position: int | None = None
    order_id: UUID | None = None
    version: int | None = None
    field: str | None = None
    stored: str | None = None
    expected: str | None = None


class LogFindings:
    """The first of them are kept, all are counted."""

    def __init__(self, most: int = MAX_LOG_FINDINGS) -> None:
        self.kept: list[LogFinding] = []
        self.number = 0
        self._most = most

    def add(self, finding: LogFinding) -> None:
        self.number += 1
        if len(self.kept) < self._most:
            self.kept.append(finding)
