"""Messages of the broker in hand: delivered to this process, and not settled yet."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto


class Verdict(Enum):
    """What becomes of a message: it is done; it cannot be decoded, and is a dead letter; it is for another to read."""

    DONE = auto()
    DEAD = auto()
    RETURNED = auto()


class WorkInHand:
    """One message, which may name many orders. `tell` is called once, with what becomes of it.

    Once it is `gone`, nothing is to be done for it any more: it was settled or returned, or its connection is lost, and
    the broker sends it again.
    """

    def __init__(self, shard: int, body: bytes, tell: Callable[[Verdict], None]) -> None:
        self.shard = shard
        self.body = body
        self.gone = False
        self._tell = tell
        self._orders_left = 0

    def names(self, orders: int) -> None:
        """It is done once so many orders are settled."""
        self._orders_left = orders

    def settle(self) -> None:
        """One of its orders has been looked at."""
        self._orders_left -= 1
        if self._orders_left == 0:
            self._end(Verdict.DONE)

    def bury(self) -> None:
        self._end(Verdict.DEAD)

    def give_back(self) -> None:
        self._end(Verdict.RETURNED)

    def lose(self) -> None:
        """Its connection is gone."""
        self.gone = True

    def _end(self, verdict: Verdict) -> None:
        if not self.gone:
            self.gone = True
            self._tell(verdict)
