"""The rebuilds of one `orders replay`, one after the other: how Ctrl-C ends them, and what an error leaves behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any

import psycopg

from order_service.cli.replay_progress import Display
from order_service.cli.replay_words import REPLAY, ROLLBACK, Asked, command_for
from order_service.database import Database
from order_service.errors import ConflictError, NotFoundError, ServiceError, UnreachableError
from orders.eventstore.port import EventStore, EventStoreError, StoreUnavailable
from projections.errors import NothingKept, ProjectionError, RebuildError, RebuildStopped
from projections.filling import FAST, POLITE
from projections.projection import Projection
from projections.rebuild import SWAPPING, Progress, Rebuild, Rebuilt, rebuilding
from projections.swap import generation_after_swap

_AS_THEY_WERE = "The live tables are as they were."


class Work:
    """`generations` are those of the checkpoints before. What is done is in `results`, whatever comes after."""

    def __init__(self, asked: Asked, where: Database, store: EventStore, generations: Mapping[str, int]) -> None:
        self.results: list[Rebuilt] = []
        self._asked = asked
        self._where = where
        self._store = store
        self._generations = generations
        self._left = [projection.name for projection in asked.projections]
        self._done: list[str] = []
        self._stop = Event()
        self._last: Progress | None = None
        self._at_work = False

    def run(self, shown: Display) -> None:
        """Raises ServiceError."""
        with self._interruptible():
            for projection in self._asked.projections:
                if self._stop.is_set():
                    raise ServiceError(f"stopped before {projection.name}.{self._rest()}")
                self._last = None
                with self._naming(projection):
                    self.results.extend(self._one(projection, shown))
                self._settle(projection)

    def _one(self, projection: Projection, shown: Display) -> list[Rebuilt]:
        def told(progress: Progress) -> None:
            self._last = progress
            shown.show(progress)

        pace = FAST if self._asked.fast else POLITE
        try:
            self._at_work = True
            with rebuilding(
                projection, self._store, self._where.direct_url, stop=self._stop, told=told, pace=pace
            ) as rebuild:
                return self._act(rebuild)
        finally:
            self._at_work = False

    def _act(self, rebuild: Rebuild) -> list[Rebuilt]:
        match self._asked.action:
            case "rollback":
                return [rebuild.roll_back()]
            case "as-of":
                return [rebuild.fill_as_of(self._asked.as_of)]
            case "drop-as-of":
                rebuild.drop_as_of()
                return []
            case _:
                return [rebuild.replay()]

    def _settle(self, projection: Projection) -> None:
        self._left.remove(projection.name)
        self._done.append(projection.name)

    @property
    def _swaps(self) -> bool:
        return self._last is not None and self._last.phase == SWAPPING

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C ends it at once; a swap only between two attempts, so that what came of it is known. Nothing more is
        begun then."""

        def interrupt(number: int, frame: Any) -> None:
            self._stop.set()
            if self._at_work and not self._swaps:
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def _naming(self, projection: Projection) -> Iterator[None]:
        """What goes wrong, with the projection, and with what that means for its tables."""
        try:
            yield
        except (KeyboardInterrupt, RebuildStopped):
            raise ServiceError(f"{projection.name}: stopped. {_AS_THEY_WERE}{self._rest()}") from None
        except RebuildError as error:
            raise translated(error, f"{one_line(error)}.{self._rest()}" if self._done else one_line(error)) from error
        except (ProjectionError, EventStoreError, psycopg.Error) as error:
            raise translated(error, f"{projection.name}: {one_line(error)}. {self._state(projection)}") from error

    def _state(self, projection: Projection) -> str:
        """How its live tables are after an error that a swap's commit may have come before, and how to go on."""
        if not self._swaps:
            return f"{_AS_THEY_WERE}{self._rest()}"
        before = self._generations[projection.name]
        try:
            now = generation_after_swap(self._where.direct_url, projection)
        except psycopg.Error:
            self._left.remove(projection.name)  # not blindly again: that would drop the tables which it replaced
            look = f"`orders replay --dry-run --projection {projection.name}` shows the generation, which was {before}"
            return f"Its tables may have been swapped: {look}.{self._rest()}"
        if now == before:
            return f"{_AS_THEY_WERE}{self._rest()}"
        self._settle(projection)
        return f"Its tables were swapped all the same, and are live in generation {now}.{self._rest()}"

    def _rest(self) -> str:
        done = f" Done: {', '.join(self._done)}." if self._done else ""
        if not self._left:
            return done
        last, where = self._last, ""
        if last and last.position and last.projection == self._left[0] and self._asked.action in (REPLAY, ROLLBACK):
            where = f"; it goes on after position {last.position}"
        return f"{done} Again: {command_for(self._asked, self._left)}{where}"


@contextmanager
def translating() -> Iterator[None]:
    """What goes wrong before the first rebuild has begun."""
    try:
        yield
    except KeyboardInterrupt:
        raise ServiceError("stopped") from None
    except (RebuildError, EventStoreError, psycopg.Error) as error:
        raise translated(error, one_line(error)) from error


def translated(error: Exception, text: str) -> ServiceError:
    match error:
        case NothingKept():
            return NotFoundError(text)
        case RebuildError():
            return ConflictError(text)
        case psycopg.errors.UndefinedTable() | psycopg.errors.InvalidSchemaName() | psycopg.errors.UndefinedFunction():
            return ServiceError(f"{text} (is the schema up to date? `orders migrate`)")
        case psycopg.errors.DiskFull():
            return ServiceError(f"{text} (make room on the database's disk)")
        case StoreUnavailable() | psycopg.OperationalError():
            return UnreachableError(text)
        case _:
            return ServiceError(text)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
