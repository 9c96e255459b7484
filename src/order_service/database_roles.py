"""Two database roles: the owner makes the tables, and the running parts have only the rights that they need.

The parts may append to the log and read it; they have no right to change or remove an event, nor to make or alter a
table in the schema `public`. The query tables are the projector's own, made and thrown away in schemas of their own:
for these the role may create schemas. Triggers refuse a change of the log to everybody; these rights refuse it before.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from order_service.bounds import CONNECT_TIMEOUT_S, MIGRATION_TABLE_LOCK_S
from order_service.errors import MigrationFailed, UnreachableError
from orders.eventstore.sql import load

_SQL = load("order_service", "database_roles.sql")
_BOOKKEEPING = "schema_migrations"
_Connection = psycopg.Connection[Any]


def grant_rights(owner_url: str, service_url: str) -> str | None:
    """Gives the role of `service_url` what the running parts need, and hands the query tables over to it; repeating
    it changes nothing. The role's name; None where it is the owner itself.

    Raises UnreachableError where one of the two cannot connect, MigrationFailed where the owner may not give a right.
    """
    with _connect(service_url, "DATABASE_URL") as connection:
        role, _ = connection.execute(_SQL["who"]).fetchall()[0]
    with _connect(owner_url, "DATABASE_OWNER_URL") as connection, connection.transaction():
        owner, database = connection.execute(_SQL["who"]).fetchall()[0]
        if owner == role:
            return None
        connection.execute(_SQL["bound"], {"lock_timeout": f"{MIGRATION_TABLE_LOCK_S:.0f}s"})
        try:
            _grant(connection, role, database)
            _hand_over(connection, role)
        except psycopg.errors.InsufficientPrivilege as error:
            words = str(error.diag.message_primary)
            raise MigrationFailed(
                f"{owner} (DATABASE_OWNER_URL) cannot give {role} (DATABASE_URL) its rights: {words};"
                f" as an administrator: GRANT {role} TO {owner}"
            ) from error
    return str(role)


def _grant(connection: _Connection, role: str, database: str) -> None:
    def give(statement: str, **names: str) -> None:
        given = {name: sql.Identifier(value) for name, value in names.items()}
        connection.execute(sql.SQL(statement).format(role=sql.Identifier(role), **given))

    give("grant create on database {database} to {role}", database=database)
    give("revoke create on schema public from public")  # PostgreSQL 14 lets everybody
    give("grant usage on schema public to {role}")
    for table, guarded in connection.execute(_SQL["tables"]).fetchall():
        give("revoke all on public.{table} from {role}", table=table)
        if table == _BOOKKEEPING:
            give("grant select on public.{table} to {role}", table=table)
        elif guarded:
            give("grant select, insert on public.{table} to {role}", table=table)
        else:
            give("grant select, insert, update, delete on public.{table} to {role}", table=table)
    give("grant usage on all sequences in schema public to {role}")
    give("grant execute on all functions in schema public to {role}")


def _hand_over(connection: _Connection, role: str) -> None:
    """Query tables that an earlier release, or a part with other settings, has made as the owner."""
    for schema, tables in connection.execute(_SQL["foreign_query_tables"], {"role": role}).fetchall():
        to = sql.Identifier(role)
        connection.execute(sql.SQL("alter schema {} owner to {}").format(sql.Identifier(schema), to))
        for table in tables or ():
            connection.execute(sql.SQL("alter table {} owner to {}").format(sql.Identifier(schema, table), to))


def danger_to_the_log(connection: _Connection) -> tuple[str, str]:
    """The session's role, and what it could do to the log, in a person's words; empty where it could do nothing."""
    role, is_superuser, may_change, may_own = connection.execute(_SQL["rights"]).fetchall()[0]
    if is_superuser:
        return role, "is a superuser, whom no right and no trigger keeps from changing events"
    if may_change:
        return role, "has rights to change or remove events"
    return role, "owns the log, and could give itself the right to change it" if may_own else ""


def _connect(url: str, setting: str) -> _Connection:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
    except psycopg.OperationalError as error:
        raise UnreachableError(f"{setting}: the database cannot be reached: {str(error).splitlines()[0]}") from error
