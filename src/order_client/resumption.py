"""Which messages of a stream are new, and where it is to be resumed."""

from __future__ import annotations

from order_client.messages import Told


class Resumption:
    """A message is told apart by its position and its place among the messages of that position, which are the same
    whenever the same stream is asked for. `position`: everything up to there was received; a connection that is cut
    between two messages of one position is resumed before that position, and what was received of it is dropped."""

    def __init__(self, after: int) -> None:
        self.position = after
        self._at = after
        self._received = 0  # messages of the position `_at`
        self._place = 0  # of the last of them on the present connection

    def begins_again(self) -> None:
        """The service sends everything after `position` once more."""
        self._place = 0

    def is_new(self, message: Told) -> bool:
        if message.position <= self.position:
            return False
        if message.position != self._at:
            self._at, self._received, self._place = message.position, 0, 0
        self._place += 1
        new = self._place > self._received
        self._received = max(self._place, self._received)
        if not message.more:
            self.position = message.position
        return new

    def reached(self, position: int) -> None:
        """The service says that nothing up to there is missing."""
        self.position = max(self.position, position)
