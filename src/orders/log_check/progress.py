"""How far a check is, for whoever watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    def begin(self, doing: str, total: int) -> None:
        """Another part of the work begins, with so many steps."""
        ...

    def at(self, done: int) -> None:
        """So many of its steps are done."""
        ...
