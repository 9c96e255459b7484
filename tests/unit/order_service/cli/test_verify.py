"""verify: what it says of a log and tables that are well, of those that are not, and its exit codes."""

import json
import os
import subprocess
import sys

import psycopg
import pytest

from order_service.postgres import service_url
from orders.eventstore.postgres import PostgresEventStore
from projections.registry import PROJECTIONS
from projections.verification import verifying
from tests.support.hash_chain import head_of, link_by_hand
from tests.support.postgres import execute
from tests.support.rebuilds import follow
from tests.support.silent_progress import Silent
from tests.support.tampering import tamper, tampering
from tests.support.trading_desk import TradingDesk
from tests.unit.order_service.cli.conftest import Run

CHANGE = "update order_events set state = state || ' '::bytea where notification_id = 4"


@pytest.fixture
def log_url(store: PostgresEventStore, database_url: str) -> str:
    """A database with two orders, each with a fill, in the chain."""
    desk = TradingDesk(store)
    for _ in range(2):
        desk.fill(desk.place(price="1.10000"), 40)
    link_by_hand(store, database_url)
    return database_url


@pytest.fixture
def url(store: PostgresEventStore, log_url: str) -> str:
    """The same, in all tables."""
    for projection in PROJECTIONS:
        follow(log_url, projection, store)
    return log_url


def test_what_is_well_is_said_with_its_reach(run: Run, store: PostgresEventStore, url: str) -> None:
    TradingDesk(store).place()
    done = run("verify", DATABASE_URL=url)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[1] == "log\twell\t5 events in 3 streams, without a hole\t"
    assert lines[2] == (
        f"hash chain\tbehind\tcovers positions 1 to 4, 1 events are not covered yet; head {head_of(url)}"
        "\twait a second, or start `orders projector`, which keeps it"
    )
    assert lines[3] == "projection order_status\twell\t2 rows are those of a fresh fold up to position 4\t"
    assert len(lines) == 3 + len(PROJECTIONS)


def test_json_has_all_of_it(run: Run, url: str) -> None:
    said = json.loads(run("verify", "--json", DATABASE_URL=url).stdout)
    head = head_of(url)
    chain = {"state": "well", "position": 4, "hash": head.hash.hex(), "uncovered": 0}
    assert said["well"] is True
    assert said["log"] == {"events": 4, "streams": 2, "chain": chain, "findings": [], "number": 0, "unread": None}
    assert [one["projection"] for one in said["projections"]] == [projection.name for projection in PROJECTIONS]
    assert said["projections"][0] == {
        "projection": "order_status", "position": 4, "rows": 2, "findings": [], "number": 0
    }  # fmt: skip


def test_a_table_that_differs_is_exit_code_1_with_what_to_do(run: Run, url: str) -> None:
    execute(url, "update projection_order_status.orders set status = 'Rejected'")
    done = run("verify", "--projection", "order_status", DATABASE_URL=url)
    assert done.exit_code == 1
    _, first, _ = done.stdout.splitlines()
    assert first.startswith("projection order_status\twrong\torders, row order_id ")
    assert "status is Rejected, and Placed after a fresh fold of the log; by event 2: OrderExecuted of order" in first
    assert first.endswith("\t`orders replay --projection order_status` makes them anew")
    found = json.loads(run("verify", "--json", "--projection", "order_status", DATABASE_URL=url).stdout)
    assert (found["well"], found["log"], found["projections"][0]["number"]) == (False, None, 2)
    assert found["projections"][0]["findings"][0]["column"] == "status"


def test_a_log_that_differs_is_exit_code_1_and_wants_a_backup(run: Run, log_url: str) -> None:
    noted = str(head_of(log_url))
    assert run("verify", "--log-only", "--chain-head", noted, DATABASE_URL=log_url).exit_code == 0
    tamper(log_url, "delete from order_events where notification_id > 3")
    done = run("verify", "--log-only", "--chain-head", noted, DATABASE_URL=log_url)
    assert done.exit_code == 1
    assert "log\twrong\tevents 4 to 4 are missing at the end\tthe log cannot be mended" in done.stdout
    assert "restore a backup" in done.stdout
    assert "projection" not in done.stdout


def test_an_event_of_a_newer_release_wants_that_release(run: Run, log_url: str) -> None:
    tamper(log_url, "insert into order_events values (5, gen_random_uuid(), 1, 'Unheard.v9', '{}')")
    done = run("verify", "--log-only", DATABASE_URL=log_url)
    assert done.exit_code == 1
    assert "stored event 'Unheard.v9' cannot be read" in done.stdout
    assert "start the release that wrote it" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--projection", "orders"), "there is no projection 'orders'; there are: order_status,"),
        (("--chain-head", "12"), "--chain-head takes what was noted"),
        (("--chain-head", "0:" + "00" * 32), "--chain-head takes what was noted"),
        (("--log-only", "--projection", "trades"), "--projection leaves the log out"),
    ],
)
def test_what_cannot_be_meant_is_wrong_use(run: Run, arguments: tuple[str, ...], words: str) -> None:
    done = run("verify", *arguments, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_database_that_is_away_or_not_migrated_is_said_so(run: Run, empty_database_url: str) -> None:
    away = run("verify", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert away.exit_code == 5
    empty = run("verify", DATABASE_URL=empty_database_url)
    assert empty.exit_code == 1
    assert "run `orders migrate`" in empty.stderr


def test_a_second_one_is_told_that_one_runs(
    run: Run, store: PostgresEventStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it reads the log, whose findings would be lost."""
    with verifying(url, store, Silent()):
        assert run("verify", "--log-only", DATABASE_URL=url).exit_code == 0
        monkeypatch.setattr("order_service.cli.verify._check_log", None)
        done = run("verify", DATABASE_URL=url)
    assert (done.exit_code, done.stdout) == (4, "")
    assert "another `orders verify` compares query tables" in done.stderr


def test_what_is_found_in_the_log_is_said_whatever_is_wrong_with_the_tables(run: Run, url: str) -> None:
    tamper(url, CHANGE)
    execute(url, "delete from projection_order_status.reached")
    execute(service_url(url), "revoke select on projection_trades.fills from current_user")
    execute(url, "drop schema projection_positions cascade")
    done = run("verify", DATABASE_URL=url)
    assert done.exit_code == 1
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.splitlines()}
    assert rows["log"][0] == "wrong"
    assert "position 4: the event was changed" in rows["log"][1]
    assert rows["hash chain"][0] == "well"
    assert rows["projection order_status"] == [
        "wrong",
        "the tables in projection_order_status are not whole: its table reached has 0 rows instead of one",
        "`orders replay --projection order_status` makes them anew",
    ]
    assert rows["projection trades"][::2] == ["unchecked", "then again: `orders verify --projection trades`"]
    assert rows["projection positions"][2] == "start `orders projector`, which makes them"
    assert rows["projection order_book"][0] == "well"


def test_tables_that_could_not_be_compared_are_another_exit_code_than_such_that_differ(run: Run, url: str) -> None:
    execute(service_url(url), "revoke select on projection_trades.fills from current_user")
    assert run("verify", DATABASE_URL=url).exit_code == 5


def test_a_log_that_could_not_be_read_to_its_end_is_not_said_to_be_well(
    run: Run, log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr("orders.log_check.check.check_orders", fail)
    done = run("verify", "--log-only", DATABASE_URL=log_url)
    assert done.exit_code == 5
    _, log, chain = done.stdout.splitlines()
    assert log.startswith("log\tunchecked\tnot all of it could be read: the connection is lost\t")
    assert chain.startswith("hash chain\tunchecked\tcovers positions 1 to 4")


def test_the_verdict_holds_where_the_reader_of_the_output_goes_away(log_url: str) -> None:
    tamper(log_url, CHANGE)
    command = [sys.executable, "-m", "order_service", "verify", "--log-only"]
    process = subprocess.Popen(command, env={**os.environ, "DATABASE_URL": log_url}, cwd="/", stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == 1


def test_a_chain_that_is_not_kept_is_wrong_past_a_bound(
    run: Run, log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tampering(log_url) as cursor:
        cursor.execute("delete from hash_chain")
        cursor.execute("delete from follower_checkpoint where name = 'hash_chain'")
    few = run("verify", "--log-only", DATABASE_URL=log_url)
    assert few.exit_code == 0
    assert "hash chain\tbehind\tcovers nothing yet, 4 events are not covered yet\t" in few.stdout
    monkeypatch.setattr("orders.log_check.chain.MAX_UNCOVERED_EVENTS", 3)
    many = run("verify", "--log-only", DATABASE_URL=log_url)
    assert many.exit_code == 1
    assert "hash chain\twrong\t4 events are not covered, more than a chain that is kept leaves\t" in many.stdout
    assert "log\twell\t" in many.stdout


def test_bytes_that_are_no_event_want_a_backup_and_no_other_release(run: Run, log_url: str) -> None:
    tamper(log_url, "insert into order_events values (5, gen_random_uuid(), 1, 'OrderPlaced.v1', 'no JSON')")
    done = run("verify", "--log-only", DATABASE_URL=log_url)
    assert "stored event 'OrderPlaced.v1' cannot be read: JSON is malformed" in done.stdout
    assert "restore a backup" in done.stdout
    assert "start the release" not in done.stdout
