"""What a projection is: a name, the SQL of its tables, and a step from events to changes of rows.

A projection is one module of this package with its .sql file beside it, and a line in `registry.py`. Its statement
`tables` makes its tables; table names are unqualified everywhere in its SQL, since they live in a schema of their own,
so that another generation can be filled beside the live one. Every table has a primary key, and a column `position`: of
the event from which the row is as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from orders.domain.instruments import Catalogue
from orders.eventstore.port import Recorded

Row = tuple[Any, ...]

_NAME = re.compile(r"[a-z][a-z0-9_]*")

LAYOUT = 2
"""Raised when `tables.py` puts something else beside a projection's own tables."""


SETS = ("shadow", "old", "as_of", "swap", "verify")
"""What the other sets of a projection's tables are called: `projection_<name>_<set>`, beside the live ones."""

MAX_IDENTIFIER = 63
"""Characters: PostgreSQL cuts a longer name off without an error."""

LISTED = "listed"
"""The name of the statement that a projection's `Listing` reads with."""


class Change(Struct, frozen=True):
    """Rows for one statement of the projection's SQL, which takes them as an array a column (`unnest`).

    `every_row`: the statement must find or make each of them, and return its first column; the projection stops with
    MissingRow where it does not.
    """

    statement: str
    rows: Sequence[Row]
    every_row: bool = False


class Listing(Struct, frozen=True, kw_only=True):
    """A list over HTTP of what a projection holds: GET `path`, with the parameters and headers of every list.

    The projection's statement `listed` selects a page: at most %(limit)s rows of %(account)s, from tables of {schema},
    of one %(symbol)s where that is not null. Its first column, a text, is the row's place in the order of the list;
    where %(after)s is not null, the page begins behind it. `shown` makes a `row` of the other columns.
    """

    path: str
    summary: str
    row: type[Struct]
    shown: Callable[[tuple[Any, ...], Catalogue], Struct]


class Projection(Struct, frozen=True, kw_only=True):
    """`step(batch)` says what a batch of the log changes, in the order in which it is to be done. It is a pure function
    of the batch, and every cutting of the log into batches makes the same rows in the end: a rebuild takes larger ones.

    Raise `revision` when `step` makes other rows of the same events: the tables are then filled again, as they are when
    the SQL changes.

    Raises ValueError for a name whose schemas PostgreSQL would not take as they are, or might be another projection's.
    """

    name: str
    sql: Mapping[str, str]
    step: Callable[[Sequence[Recorded]], Sequence[Change]]
    revision: int = 1
    listing: Listing | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r}: a projection's name has letters a to z, digits and _, a letter first")
        if self.name.endswith(tuple(f"_{one}" for one in SETS)):
            raise ValueError(f"{self.name}: it ends as a set of another projection's tables does: _{', _'.join(SETS)}")
        if len(self.schema) + 1 + max(map(len, SETS)) > MAX_IDENTIFIER:
            raise ValueError(f"{self.name}: too long, its schemas have more than {MAX_IDENTIFIER} characters")

    @property
    def schema(self) -> str:
        """Where the live tables are."""
        return f"projection_{self.name}"

    @property
    def fingerprint(self) -> str:
        # How rows are listed is no part of what they are.
        statements = sorted(statement for statement in self.sql.items() if statement[0] != LISTED)
        content = msgspec.json.encode([LAYOUT, self.revision, statements])
        return sha256(content).hexdigest()[:32]
