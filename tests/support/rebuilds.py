"""What tests of rebuilds need: a projection's tables beside one another, and what is in them."""

from typing import Any

import psycopg
from psycopg import sql

from order_service.postgres import service_url
from orders.eventstore.port import EventStore
from orders.follower import Checkpoint, read_checkpoint
from projections.digest import StateDigest, state_digest
from projections.filling import FAST
from projections.projection import Projection
from projections.rebuild import Rebuilt, rebuilding
from projections.tables import apply_to, make_tables, reached


def follow(url: str, projection: Projection, store: EventStore, *, to: int | None = None) -> int:
    """Brings the live tables to the end of the log, or to a position, as a follower does; where they are then."""
    to = store.head() if to is None else to
    with psycopg.connect(service_url(url), autocommit=True) as connection:
        make_tables(connection, projection)
        with connection.transaction(), connection.cursor() as cursor:
            after = reached(cursor, projection.schema)
            if batch := store.read_log(after=after, limit=to - after):
                apply_to(cursor, projection, projection.schema, batch)
                cursor.execute("update follower_checkpoint set position = %s where name = %s", [to, projection.name])
    return to


def replay(url: str, projection: Projection, store: EventStore, **options: Any) -> Rebuilt:
    with rebuilding(projection, store, service_url(url), pace=FAST, **options) as rebuild:
        return rebuild.replay()


def digest_of(url: str, schema: str) -> StateDigest:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        return state_digest(cursor, schema)


def reached_in(url: str, schema: str) -> int:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        return reached(cursor, schema)


def checkpoint_of(url: str, projection: Projection) -> Checkpoint:
    with psycopg.connect(url) as connection:
        checkpoint = read_checkpoint(connection, projection.name)
    assert checkpoint is not None
    return checkpoint


def schemas_of(url: str, projection: Projection) -> list[str]:
    """The sets of tables that the projection has, without its name in front; '' are the live ones."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select nspname from pg_namespace where nspname like %s order by nspname", [f"{projection.schema}%"]
        ).fetchall()
    return [name.removeprefix(projection.schema) for (name,) in rows]


def change(url: str, statement: str, schema: str) -> None:
    """`statement` in the tables of that schema, past the projection."""
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL("set local search_path = {}").format(sql.Identifier(schema)))
        connection.execute(statement.encode())


def told_failures(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [reason for (reason,) in connection.execute("select reason from follower_failure").fetchall()]


def forget(url: str, projection: Projection) -> None:
    """No tables of the projection, and no checkpoint."""
    with psycopg.connect(url) as connection:
        for suffix in schemas_of(url, projection):
            schema = sql.Identifier(projection.schema + suffix)
            connection.execute(sql.SQL("drop schema {} cascade").format(schema))
        connection.execute("delete from follower_checkpoint where name = %s", [projection.name])
