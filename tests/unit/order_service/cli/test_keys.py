"""API keys from the command line: made once, listed without their secret, ended."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from order_service.security.api_keys import digest_of, key_id_of
from tests.unit.order_service.cli.conftest import Run


def rows(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("select key_id, digest, account, scopes, name from api_keys").fetchall()


def test_a_key_is_shown_once_and_only_its_digest_is_kept(run: Run, database_url: str) -> None:
    done = run(
        *("keys", "create", "--account", "desk", "--scope", "trade", "--scope", "read", "--name", "Anna's"),
        DATABASE_URL=database_url,
    )
    assert done.exit_code == 0, done.output
    (text,) = done.stdout.split()
    assert text not in done.stderr
    (row,) = rows(database_url)
    assert row == (key_id_of(text), digest_of(text), "desk", ["read", "trade"], "Anna's")
    assert text.split("_", 2)[2] not in repr(row)


def test_keys_are_listed_by_their_state_and_without_their_secret(run: Run, database_url: str) -> None:
    made = [
        json.loads(
            run("keys", "create", "--account", account, "--scope", "read", "--json", DATABASE_URL=database_url).stdout
        )
        for account in ("a", "b", "c")
    ]
    ended = run("keys", "revoke", made[1]["key_id"], DATABASE_URL=database_url)
    assert ended.exit_code == 0, ended.output
    with psycopg.connect(database_url) as connection:
        connection.execute("update api_keys set expires_at = now() where key_id = %s", [made[2]["key_id"]])
    done = run("keys", "list", "--json", DATABASE_URL=database_url)
    shown = {one["account"]: one for one in json.loads(done.stdout)}
    assert {account: one["state"] for account, one in shown.items()} == {"a": "holds", "b": "revoked", "c": "expired"}
    assert shown["a"]["scopes"] == ["read"]
    assert not any(one["key"].split("_", 2)[2] in done.output for one in made)
    alone = run("keys", "list", "--account", "b", DATABASE_URL=database_url)
    assert alone.stdout.splitlines()[0].startswith("key_id\taccount\tscopes\tname\tstate")
    assert [line.split("\t")[1] for line in alone.stdout.splitlines()[1:]] == ["b"]


@pytest.mark.parametrize("ends", ["10000-01-01 04:59:59+00", "infinity"])
def test_a_key_whose_end_no_clock_of_ours_has_hides_no_other(run: Run, database_url: str, ends: str) -> None:
    for account in ("a", "b"):
        run("keys", "create", "--account", account, "--scope", "read", DATABASE_URL=database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("update api_keys set expires_at = %s where account = 'a'", [ends])
    done = run("keys", "list", "--json", DATABASE_URL=database_url)
    assert done.exit_code == 0, done.output
    assert {one["account"]: one["state"] for one in json.loads(done.stdout)} == {"a": "holds", "b": "holds"}


def test_a_key_is_revoked_by_its_id_or_by_itself_and_once(run: Run, database_url: str) -> None:
    text = run("keys", "create", "--account", "a", "--scope", "read", DATABASE_URL=database_url).stdout.strip()
    first = run("keys", "revoke", text, "--json", DATABASE_URL=database_url)
    again = run("keys", "revoke", str(key_id_of(text)), "--json", DATABASE_URL=database_url)
    assert first.exit_code == again.exit_code == 0
    assert json.loads(first.stdout) == json.loads(again.stdout), "it keeps when it was"
    assert text not in first.output
    assert run("keys", "revoke", "nosuchkey", DATABASE_URL=database_url).exit_code == 3


def test_a_key_ends_after_a_term_or_at_a_time(run: Run, database_url: str) -> None:
    now = datetime.now(UTC)
    for given, ends_at in (("90d", now + timedelta(days=90)), ("12h", now + timedelta(hours=12))):
        made = run(
            *("keys", "create", "--account", "a", "--scope", "admin", "--expires", given, "--json"),
            DATABASE_URL=database_url,
        )
        told = datetime.fromisoformat(json.loads(made.stdout)["expires_at"])
        assert abs(told - ends_at) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--account", "two words", "--scope", "read"),
        ("--account", "", "--scope", "read"),
        ("--account", "a" * 129, "--scope", "read"),
        ("--account", "a"),
        ("--account", "a", "--scope", "write"),
        ("--account", "a", "--scope", "read", "--expires", "soon"),
        ("--account", "a", "--scope", "read", "--expires", "2020-01-01T00:00:00Z"),
        ("--account", "a", "--scope", "read", "--expires", "2999-01-01T00:00:00"),
        ("--account", "a", "--scope", "read", "--expires", "4000d"),
        ("--account", "a", "--scope", "read", "--expires", "999999d"),
        ("--account", "a", "--scope", "read", "--expires", "9999-12-31T23:59:59-05:00"),
        ("--account", "a", "--scope", "read", "--name", "line\nbreak"),
    ],
)
def test_wrong_use_makes_no_key(run: Run, wrong: tuple[str, ...]) -> None:
    done = run("keys", "create", *wrong, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.exit_code == 2, done.output
    assert done.stdout == ""


def test_without_a_database_it_says_what_is_needed(run: Run, tmp_path: Path) -> None:
    done = run("keys", "list", ORDERS_DATA_DIR=str(tmp_path / "none"))
    assert done.exit_code == 5
    assert "orders up" in done.stderr


def test_a_part_on_an_open_address_does_not_start(run: Run) -> None:
    done = run("api", LISTEN="0.0.0.0:8000")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: LISTEN: 0.0.0.0 is not a loopback address")


def test_the_doctor_says_who_has_entrance(run: Run, database_url: str) -> None:
    def access(**settings: str) -> dict[str, str]:
        done = run("doctor", "--json", DATABASE_URL=database_url, **settings)
        (found,) = [one for one in json.loads(done.stdout) if one["check"] == "access"]
        assert isinstance(found, dict)
        return found

    assert "may do everything" in access()["found"]
    assert "10.0.0.7" in access(LISTEN="0.0.0.0:8000", TRUSTED_PROXY="10.0.0.7")["found"]
    nobody = access(AUTHENTICATION="required")
    assert (nobody["state"], nobody["to_do"].split(" --")[0]) == ("wrong", "orders keys create")
    run("keys", "create", "--account", "a", "--scope", "read", DATABASE_URL=database_url)
    assert access(AUTHENTICATION="required")["found"].startswith("API keys that hold: 1")
