"""The running parts' database role: all that they do goes, and nothing that changes the log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from order_service.cli.database_checks import check_database
from order_service.cli.findings import Finding
from order_service.configuration.settings import load_settings
from order_service.database import Database, migrate_and_grant
from order_service.database_roles import danger_to_the_log, grant_rights
from order_service.errors import MigrationFailed, UnreachableError
from order_service.postgres import EmbeddedPostgres, service_url
from orders.eventstore.postgres import PostgresEventStore
from orders.hash_chain import FOLLOWER
from projections.projector import run_projector
from projections.registry import PROJECTIONS
from projections.tables import make_tables
from tests.support.log_events import unit
from tests.support.postgres import execute, value
from tests.support.tampering import superuser_url
from tests.support.waiting import wait_until

FORBIDDEN = [
    "update public.{table} set {column} = {column}",
    "delete from public.{table}",
    "truncate public.{table}",
    "alter table public.{table} disable trigger all",
    "drop trigger {table}_immutable on public.{table}",
    "drop table public.{table}",
    "grant update on public.{table} to orders_service; update public.{table} set {column} = {column}",
]
FORBIDDEN_AT_ALL = [
    "create table public.mine (line text)",
    "create or replace function public.refuse_change() returns trigger language plpgsql as 'begin return null; end'",
    "drop function public.append_events",
    "insert into public.schema_migrations values (9999, 'x', 'x')",
    "truncate public.adapter_duties",
    "drop schema public cascade",
    "set role orders",
    "set session_replication_role = replica",
    "alter role orders_service superuser",
    "create role another",
    "drop database orders",
]


@pytest.fixture
def parts_url(database_url: str) -> str:
    return service_url(database_url)


@pytest.mark.parametrize("statement", FORBIDDEN)
@pytest.mark.parametrize(("table", "column"), [("order_events", "state"), ("hash_chain", "hash")])
def test_the_parts_have_no_right_to_change_the_log_or_its_chain(
    module_database_url: str, statement: str, table: str, column: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(service_url(module_database_url), statement.format(table=table, column=column))


@pytest.mark.parametrize("statement", FORBIDDEN_AT_ALL)
def test_nor_to_change_the_schema_or_themselves(module_database_url: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(service_url(module_database_url), statement)


def test_the_parts_append_follow_chain_and_rebuild_with_the_rights_they_have(parts_url: str) -> None:
    store = PostgresEventStore(parts_url)
    store.append([unit() for _ in range(20)])
    followers = [*(projection.name for projection in PROJECTIONS), FOLLOWER]
    there = f"select count(*) from public.follower_checkpoint where position = 20 and name = any(array{followers})"
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=run_projector, args=(store, parts_url, stop, ready.set))
    thread.start()
    try:
        wait_until(lambda: value(parts_url, there) == len(followers), what="all followers at the end of the log")
    finally:
        stop.set()
        thread.join(10)
        store.close()
    owners = "select string_agg(distinct nspowner::regrole::text, ' ') from pg_namespace where nspname ~ '^projection_'"
    assert value(parts_url, owners) == "orders_service"


def test_query_tables_that_the_owner_made_are_handed_over(database_url: str, parts_url: str) -> None:
    """As an upgrade finds them."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        for projection in PROJECTIONS:
            make_tables(owner, projection)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(parts_url, "delete from projection_order_status.orders")
    assert grant_rights(database_url, parts_url) == "orders_service"
    assert grant_rights(database_url, parts_url) == "orders_service", "again, and nothing is different"
    execute(parts_url, "delete from projection_order_status.orders; drop schema projection_trades cascade")
    execute(database_url, "delete from projection_order_status.orders")  # the owner is a member of the role


def test_rights_of_tables_that_a_release_brings_are_given_with_its_migrations(
    database_url: str, parts_url: str
) -> None:
    execute(database_url, "create table public.novelty (line text, number bigserial)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(parts_url, "insert into public.novelty values ('a')")
    migrate_and_grant(Database(parts_url, parts_url, database_url))
    execute(parts_url, "insert into public.novelty values ('a'); update public.novelty set line = 'b'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(parts_url, "truncate public.novelty")


def test_where_both_urls_are_one_role_nothing_is_given(database_url: str) -> None:
    assert grant_rights(database_url, database_url) is None


class OwnServer:
    """Roles as an administrator of another server makes them."""

    def __init__(self, url: str) -> None:
        self.owner_url = url
        self.url = url.replace("//orders:", "//desk parts:".replace(" ", "%20"))
        self._password = url.partition("//orders:")[2].partition("@")[0]

    def create(self) -> None:
        with psycopg.connect(superuser_url(self.owner_url), autocommit=True) as connection:
            statement = sql.SQL("create role {} login password {}")
            connection.execute(statement.format(sql.Identifier("desk parts"), sql.Literal(self._password)))

    def administer(self, statement: str) -> None:
        execute(superuser_url(self.owner_url), statement)

    def drop(self) -> None:
        self.administer('drop owned by "desk parts" cascade; drop role "desk parts"')


@pytest.fixture
def own(database_url: str) -> Iterator[OwnServer]:
    server = OwnServer(database_url)
    server.create()
    yield server
    server.drop()


def test_a_role_of_any_name_gets_the_rights_on_a_server_of_ones_own(own: OwnServer) -> None:
    assert grant_rights(own.owner_url, own.url) == "desk parts"
    store = PostgresEventStore(own.url)
    store.append([unit()])
    store.close()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(own.url, "delete from public.order_events")


def test_an_owner_who_may_not_hand_over_hears_what_an_administrator_has_to_say(own: OwnServer) -> None:
    execute(own.owner_url, "create schema projection_old_release; create table projection_old_release.a (b text)")
    with pytest.raises(MigrationFailed, match=r'GRANT "?desk parts"? TO orders'):
        grant_rights(own.owner_url, own.url)
    own.administer('grant "desk parts" to orders')
    assert grant_rights(own.owner_url, own.url) == "desk parts"
    execute(own.url, "drop schema projection_old_release cascade")


def test_a_role_that_is_not_there_is_named_by_its_setting(database_url: str) -> None:
    with pytest.raises(UnreachableError, match="DATABASE_URL: "):
        grant_rights(database_url, database_url.replace("//orders:", "//nobody_here:"))


def finding(url: str, folder: Path) -> Finding:
    settings = load_settings({"DATABASE_URL": url, "ORDERS_DATA_DIR": str(folder)}, folder / "no.env")
    (found,) = (one for one in check_database(settings) if one.check == "database role")
    return found


def test_doctor_says_what_the_role_could_do_to_the_log(database_url: str, parts_url: str, tmp_path: Path) -> None:
    parts, owner = finding(parts_url, tmp_path), finding(database_url, tmp_path)
    superuser = finding(superuser_url(database_url), tmp_path)
    execute(superuser_url(database_url), "grant delete on public.order_events to orders_service")
    careless = finding(parts_url, tmp_path)
    assert (parts.state, parts.to_do) == ("well", "")
    assert (owner.state, "owns the log" in owner.found, "DATABASE_OWNER_URL" in owner.to_do) == ("well", True, True)
    assert (superuser.state, "superuser" in superuser.found) == ("wrong", True)
    assert (careless.state, "rights to change" in careless.found) == ("wrong", True)


def test_an_empty_database_is_no_danger_and_no_error(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        assert danger_to_the_log(connection) == ("orders", "")


def password_in(url: str) -> str:
    return url.split("@")[0].rpartition(":")[2]


@pytest.mark.parametrize("other", ["orders", "postgres"])
def test_the_password_of_the_parts_opens_no_other_role(parts_url: str, other: str) -> None:
    assert value(parts_url, "select current_user") == "orders_service"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(parts_url.replace("//orders_service:", f"//{other}:"))


def test_a_data_folder_of_an_earlier_release_gets_the_role_at_its_next_start(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server:
        execute(superuser_url(server.url), "drop role orders_service")
    (data_dir / "postgres" / "password").unlink()  # and somebody has removed the file
    with EmbeddedPostgres(data_dir) as server:
        assert value(service_url(server.url), "select current_user") == "orders_service"
        assert migrate_and_grant(Database(service_url(server.url), service_url(server.url), server.url))
        execute(superuser_url(server.url), f"alter role orders_service password '{password_in(server.url)}'")
    with EmbeddedPostgres(data_dir) as server:
        assert value(service_url(server.url), "select current_user") == "orders_service"
