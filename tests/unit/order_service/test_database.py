"""Which database serves: the user's own, or the embedded one if it runs."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Self

import psycopg
import pytest

from order_service import database as module
from order_service.configuration.settings import Settings, load_settings
from order_service.database import Database, database, database_for_a_while
from order_service.errors import UnreachableError
from order_service.postgres.layout import service_password
from tests.support.waiting import wait_until

OWN = "postgresql://u:geheim@db.internal/orders"
EMBEDDED = "postgresql://orders:x@/orders?host=/run"
PARTS = f"postgresql://orders_service:{service_password('x')}@/orders?host=/run"


def settings(folder: Path, **given: str) -> Settings:
    return load_settings({"ORDERS_DATA_DIR": str(folder), **given}, folder / "no.env")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of the embedded server, which is no real one here."""
    happened: list[str] = []

    class Embedded:
        url = EMBEDDED

        def __init__(self, data_dir: Path) -> None:
            self.data_dir = data_dir

        def __enter__(self) -> Self:
            happened.append(f"started in {self.data_dir}")
            return self

        def __exit__(self, *_: object) -> None:
            happened.append("stopped")

    monkeypatch.setattr(module, "EmbeddedPostgres", Embedded)
    return happened


def embedded_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "running_url", lambda data_dir: EMBEDDED)


def test_the_users_database_serves_where_one_is_named(tmp_path: Path) -> None:
    assert database(settings(tmp_path, DATABASE_URL=OWN)) == Database(OWN, OWN, OWN)


def test_locks_go_past_the_pooler(tmp_path: Path) -> None:
    direct = "postgresql://db.internal:5433/orders"
    found = database(settings(tmp_path, DATABASE_URL=OWN, DATABASE_DIRECT_URL=direct))
    assert found == Database(OWN, direct, direct)


def test_migrations_are_the_owners_where_there_is_one(tmp_path: Path) -> None:
    owner = "postgresql://owner:geheim@db.internal/orders"
    found = database(settings(tmp_path, DATABASE_URL=OWN, DATABASE_OWNER_URL=owner))
    assert found == Database(OWN, OWN, owner)


def test_the_embedded_one_serves_where_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded_runs(monkeypatch)
    assert database(settings(tmp_path)) == Database(PARTS, PARTS, EMBEDDED, embedded=True)


def test_no_database_names_the_folder_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        database(settings(tmp_path))
    said = str(caught.value)
    assert str(tmp_path) in said
    assert "orders up" in said
    assert "DATABASE_URL" in said


def test_the_embedded_one_is_started_for_a_while_and_stopped_again(tmp_path: Path, started: list[str]) -> None:
    with database_for_a_while(settings(tmp_path)) as found:
        assert found == Database(PARTS, PARTS, EMBEDDED, embedded=True)
        assert started == [f"started in {tmp_path}"]
    assert started == [f"started in {tmp_path}", "stopped"]


def test_the_embedded_one_stays_for_others_who_use_it(
    tmp_path: Path,
    started: list[str],
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OTHERS_POLL_S", 0.02)
    monkeypatch.setattr(module.EmbeddedPostgres, "url", database_url)
    other = psycopg.connect(database_url, application_name="orders verify")
    told: list[str] = []

    def leave() -> None:
        wait_until(lambda: told.append(capsys.readouterr().err) or "orders verify (" in "".join(told), what="the line")
        started.append("the other one has left")
        other.close()

    thread = Thread(target=leave)
    with database_for_a_while(settings(tmp_path)):
        thread.start()
    thread.join(10)
    assert started[1:] == ["the other one has left", "stopped"]


def test_the_embedded_one_waits_for_nobody_for_ever(
    tmp_path: Path, started: list[str], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OTHERS_WAIT_S", 0.1)
    monkeypatch.setattr(module.EmbeddedPostgres, "url", database_url)
    with psycopg.connect(database_url), database_for_a_while(settings(tmp_path)):
        pass
    assert started[1:] == ["stopped"]


def test_one_that_runs_is_used_as_it_is(tmp_path: Path, started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    embedded_runs(monkeypatch)
    with database_for_a_while(settings(tmp_path)) as found:
        assert found.url == PARTS
    assert started == []


def test_nothing_is_started_beside_the_users_database(tmp_path: Path, started: list[str]) -> None:
    with database_for_a_while(settings(tmp_path, DATABASE_URL=OWN)) as found:
        assert found.url == OWN
    assert started == []


def test_an_error_inside_the_block_is_not_taken_for_a_missing_database(
    tmp_path: Path, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded_runs(monkeypatch)
    with pytest.raises(UnreachableError, match="inside"), database_for_a_while(settings(tmp_path)):
        raise UnreachableError("inside")
    assert started == []


def test_where_a_url_leads_nowhere_its_setting_is_named() -> None:
    direct, owner = "postgresql://db.internal:5433/orders", "postgresql://owner@db.internal/orders"
    named = Database(OWN, direct, owner)
    assert [named.named_by(url) for url in (OWN, direct, owner)] == [
        *("DATABASE_URL", "DATABASE_DIRECT_URL", "DATABASE_OWNER_URL"),
    ]
    assert Database(OWN, OWN, OWN).named_by(OWN) == "DATABASE_URL"
    assert Database(OWN, direct, direct).named_by(direct) == "DATABASE_DIRECT_URL"
    assert Database(PARTS, PARTS, EMBEDDED, embedded=True).named_by(EMBEDDED) == "the embedded PostgreSQL"
