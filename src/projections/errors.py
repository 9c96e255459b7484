"""What a read, a projection or the feed refuses.

ReadError                  `str()` is fit for the client
├── UnknownBook            no such symbol
├── UnknownProjection      no such projection
├── NotCaughtUp            the wait ran out before the projection held what was asked for
├── TooManyReads           too many reads wait already
├── FeedUnavailable        the feed takes no more clients, or the service stops
└── ReadsUnavailable       the database does not answer
    └── TablesMissing      no projector has made the tables yet, or another release made others
ProjectionError            a projection cannot go on; it stops alone
├── MissingRow             an event of an order whose row is not there
├── StepFailed             its step raises something that is not foreseen
├── MisplacedBatch         the tables are not where the batch begins
├── TablesNotWhole         a table of the set is gone, or does not say where the set is
└── ForeignTables          the tables are those of another release
RebuildError               a rebuild ends; the live tables are as they were
├── RebuildStopped         someone stopped it; the next one goes on where it was
├── RebuildRunning         another one of this projection runs
├── TablesInUse            queries read the tables that are to go, or others hold what a swap needs, for too long
├── NothingKept            there are no tables that could come back
└── KeptForeign            the kept tables are those of another release
VerifyRunning              another verification runs
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID


class ReadError(Exception):
    pass


class UnknownBook(ReadError):
    def __init__(self, symbol: str) -> None:
        super().__init__(f"Symbol: {symbol} is not supported")


class UnknownProjection(ReadError):
    def __init__(self, name: str) -> None:
        super().__init__(f"Projection: {name} does not exist")


class NotCaughtUp(ReadError):
    def __init__(self, projection: str, wanted: int) -> None:
        super().__init__(
            f"{projection} does not hold position {wanted} yet; try again, or take what is there: wait_ms=0"
        )


class TooManyReads(ReadError):
    def __init__(self) -> None:
        super().__init__("Too many reads wait; try again")


class FeedUnavailable(ReadError):
    pass


class ReadsUnavailable(ReadError):
    def __init__(self) -> None:
        super().__init__("The database does not answer; try again")


class TablesMissing(ReadsUnavailable):
    pass


class ProjectionError(Exception):
    pass


class MissingRow(ProjectionError):
    def __init__(self, projection: str, order_ids: Sequence[UUID]) -> None:
        shown = ", ".join(str(order_id) for order_id in order_ids[:3])
        super().__init__(f"{projection} has no row for {len(order_ids)} changed orders: {shown}")


class StepFailed(ProjectionError):
    def __init__(self, first_position: int, last_position: int, error: Exception) -> None:
        super().__init__(f"between positions {first_position} and {last_position}: {type(error).__name__}: {error}")


class MisplacedBatch(ProjectionError):
    def __init__(self, projection: str, schema: str, first_position: int) -> None:
        super().__init__(f"the tables of {projection} in {schema} do not stand before position {first_position}")


class ForeignTables(ProjectionError):
    def __init__(self, projection: str) -> None:
        super().__init__(f"the tables of {projection} are those of another release, which rebuilds them")


class TablesNotWhole(ProjectionError):
    """`lack` says what is wrong with the tables in `schema`."""

    def __init__(self, schema: str, lack: str) -> None:
        super().__init__(f"the tables in {schema} are not whole: {lack}")


class RebuildError(Exception):
    """`str()` is fit for an operator."""


class RebuildStopped(RebuildError):
    def __init__(self) -> None:
        super().__init__("the rebuild was stopped")


class RebuildRunning(RebuildError):
    """`pid` is the server's number of the other one's session, 0 where that has ended meanwhile."""

    def __init__(self, projection: str, holder: str, pid: int = 0) -> None:
        super().__init__(f"{projection} is being rebuilt already, by {holder}")
        self.pid = pid


class TablesInUse(RebuildError):
    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is in use for too long; try again")


class NothingKept(RebuildError):
    def __init__(self, projection: str) -> None:
        super().__init__(f"{projection} has no kept tables: a replay keeps those that it replaces, until the next one")


class KeptForeign(RebuildError):
    def __init__(self, projection: str) -> None:
        super().__init__(f"the kept tables of {projection} are those of another release, which can take them back")


class VerifyRunning(Exception):
    def __init__(self) -> None:
        super().__init__("another `orders verify` compares query tables; wait for its end")
