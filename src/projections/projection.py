"""What a projection is: a name, the SQL of its tables, and a step from events to rows.

A projection is one module of this package with its .sql file beside it, and a line in `registry.py`. Its statement
`tables` makes its tables; table names are unqualified everywhere in its SQL, since they live in a schema of their own,
so that another generation can be filled beside the live one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from psycopg import Cursor

from orders.eventstore.port import Recorded


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """`apply(cursor, batch)` changes the rows for a batch of the log, in the transaction that moves the checkpoint.

    Raise `revision` when `apply` makes other rows of the same events: the tables are then rebuilt, as they are when
    the SQL changes.
    """

    name: str
    sql: Mapping[str, str]
    apply: Callable[[Cursor[Any], Sequence[Recorded]], None]
    revision: int = 1

    @property
    def schema(self) -> str:
        """Where the live tables are."""
        return f"projection_{self.name}"

    @property
    def fingerprint(self) -> str:
        content = msgspec.json.encode([self.revision, sorted(self.sql.items())])
        return sha256(content).hexdigest()[:32]
