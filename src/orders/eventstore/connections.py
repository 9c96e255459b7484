"""PostgreSQL connections of which no call waits for ever, and what their errors mean for the log."""

from __future__ import annotations

import select
from traceback import clear_frames
from typing import Any, Self

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus

from orders.bounds import ANSWER_GRACE_S, CONNECT_TIMEOUT_S, LOCK_TIMEOUT_S, STATEMENT_TIMEOUT_S
from orders.eventstore.port import StoreUnavailable
from orders.eventstore.sql import load

_SQL = load("orders.eventstore", "postgres.sql")

KEEPALIVE: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 3000,
}
"""libpq's parameters for TCP: a peer that is gone is noticed within 6 s idle and 3 s with data under way."""

SESSION_SETTINGS = {
    "statement_ms": str(round(STATEMENT_TIMEOUT_S * 1000)),
    "lock_ms": str(round(LOCK_TIMEOUT_S * 1000)),
}


class TidyConnection(psycopg.Connection[Any]):
    """Leaves no socket open where it could not be made."""

    @classmethod
    def connect(cls, conninfo: str = "", **given: Any) -> Self:
        try:
            return super().connect(conninfo, **given)
        except psycopg.Error as error:
            raise _let_go(error) from None


class TidyAsyncConnection(psycopg.AsyncConnection[Any]):
    """Leaves no socket open where it could not be made."""

    @classmethod
    async def connect(cls, conninfo: str = "", **given: Any) -> Self:
        try:
            return await super().connect(conninfo, **given)
        except psycopg.Error as error:
            raise _let_go(error) from None


def _let_go(error: psycopg.Error) -> psycopg.Error:
    """psycopg does not end a handshake that takes too long: its half-made connection stays in the frames that the error
    leads to, which lead back to the error. Until the garbage collector came by, each attempt kept a socket here and,
    once a frozen server goes on, a slot there."""
    clear_frames(error.__traceback__)
    return error.with_traceback(None)


class BoundedConnection(TidyConnection):
    """Every wait for the server ends after `answer_within_s`, even where the server is frozen or the network silent.

    In the middle of an answer it is of no use any more, and is closed.
    """

    answer_within_s = STATEMENT_TIMEOUT_S + ANSWER_GRACE_S

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_within_s)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()
            raise


def connect(
    url: str, *, application_name: str, within_s: float = CONNECT_TIMEOUT_S, durable: bool = True
) -> BoundedConnection:
    """A session of ours in autocommit. Where its commits need not be `durable`, the newest may be lost when the server
    crashes: for what can be made again from the log, which is ahead of it even then. Raises psycopg.Error."""
    connection = BoundedConnection.connect(
        url,
        autocommit=True,
        application_name=application_name,
        connect_timeout=max(2, round(within_s)),  # libpq takes whole seconds, 2 at least
        **KEEPALIVE,
    )
    configure(connection, durable=durable)
    return connection


def configure(connection: psycopg.Connection[Any], *, durable: bool = True) -> None:
    """Closes one that does not take it: nobody else would, a pool neither. Raises psycopg.Error."""
    try:
        connection.execute(_SQL["session"], {**SESSION_SETTINGS, "durable": durable})
    except psycopg.Error:
        connection.close()
        raise


def is_dead(connection: psycopg.Connection[Any]) -> bool:
    """Whether an idle connection is closed, or has something to read: an end of file or the server's farewell."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def check_alive(connection: psycopg.Connection[Any]) -> None:
    """For a pool: raises psycopg.OperationalError where the connection is of no use any more; no round trip.

    The pool keeps one that it is not told to be closed.
    """
    if is_dead(connection):
        connection.close()
        raise psycopg.OperationalError("the connection was lost while idle")


def surely_undone(error: psycopg.Error) -> bool:
    """Whether the server has said that the statement failed, so that its transaction is rolled back.

    A FATAL error ends the session, possibly after its commit; without an answer nothing is known.
    """
    return error.sqlstate is not None and severity(error.diag) == "ERROR"


def severity(diag: Diagnostic) -> str:
    return diag.severity_nonlocalized or diag.severity or ""


def unavailable(error: psycopg.Error, doing: str) -> StoreUnavailable:
    code = f" ({error.sqlstate})" if error.sqlstate else ""
    return StoreUnavailable(f"{doing}: {str(error).strip() or type(error).__name__}{code}")
