"""doctor: what each check finds, that none stops another, and the exit codes."""

import json
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from uuid import uuid4

import psycopg
import pytest

from exchange_adapter.work.duties import FOLLOWER
from order_service.cli import checks, database_checks, doctor
from order_service.cli.checks import check_api, check_data_folder, check_port, check_venue
from order_service.cli.database_checks import check_database
from order_service.cli.doctor import CHECKS, check_settings, exit_code, run_checks
from order_service.cli.findings import Finding, State
from order_service.configuration.settings import Settings, load_settings
from orders.eventstore.postgres import PostgresEventStore
from orders.hash_chain import FOLLOWER as HASH_CHAIN
from projections.registry import PROJECTIONS
from projections.tables import make_tables
from projections.trades import TRADES
from tests.support.exchange_process import ExchangeProcess
from tests.support.hash_chain import chain_log
from tests.support.log_events import unit
from tests.support.running_service import free_port
from tests.support.scripted_api import ScriptedApi
from tests.support.tampering import tamper
from tests.unit.order_service.cli.conftest import Run

SECRET = "geheim-4711"
WELL = Finding("a", "well", "fine")


def settings(folder: Path, **given: str) -> Settings:
    return load_settings({"ORDERS_DATA_DIR": str(folder / "data"), **given}, folder / "no.env")


def the_only(findings: Iterable[Finding]) -> Finding:
    (finding,) = findings
    return finding


def states(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.check: finding.state for finding in findings}


def test_one_check_that_fails_or_hangs_stops_no_other(tmp_path: Path) -> None:
    over = Event()

    def fails(settings: Settings) -> Iterator[Finding]:
        yield WELL
        raise ZeroDivisionError("by zero")

    def hangs(settings: Settings) -> Iterator[Finding]:
        over.wait(30)
        yield WELL

    none: frozenset[str] = frozenset()
    tried = {"fails": (fails, none), "hangs": (hangs, none), "works": (lambda settings: [WELL], none)}
    began = time.monotonic()
    findings, hung = run_checks(tried, settings(tmp_path), set(), within_s=0.2)
    took = time.monotonic() - began
    over.set()
    assert findings == [
        Finding("fails", "wrong", "ZeroDivisionError: by zero"),
        Finding("hangs", "unreachable", "no answer within 0.2 s"),
        WELL,
    ]
    assert hung
    assert took < 5


def test_a_check_is_left_out_where_a_setting_that_it_rests_on_is_wrong(tmp_path: Path) -> None:
    checked = {"a": (lambda settings: [WELL], frozenset({"EXCHANGE"}))}
    findings, hung = run_checks(checked, settings(tmp_path), {"EXCHANGE"})
    assert the_only(findings).state == "unknown"
    assert not hung
    assert run_checks(checked, settings(tmp_path), {"BASE_URL"})[0] == [WELL]


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (["well", "well"], 0),
        (["well", "wrong"], 1),
        (["wrong", "unknown"], 1),
        (["wrong", "unreachable"], 5),
    ],
)
def test_the_exit_code_tells_the_worst(found: list[State], code: int) -> None:
    assert exit_code([Finding("x", state, "") for state in found]) == code


def test_wrong_settings_are_named_and_the_rest_is_checked_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        doctor, "CHECKS", {name: (lambda settings: [WELL], needs) for name, (_, needs) in CHECKS.items()}
    )
    done = run("doctor", "--json", DATABASE_URL=f"mysql://u:{SECRET}@x", PARK_AFTER_ATTEMPTS="0")
    found = json.loads(done.stdout)
    assert [(one["check"], one["state"]) for one in found] == [
        ("setting DATABASE_URL", "wrong"),
        ("setting PARK_AFTER_ATTEMPTS", "wrong"),
        *[(name, "unknown") if "DATABASE_URL" in needs else ("a", "well") for name, (_, needs) in CHECKS.items()],
    ]
    assert done.exit_code == 1
    assert SECRET not in done.output


def test_all_well_is_exit_code_0_and_a_table_in_tabs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", {"a": (lambda settings: [WELL], frozenset())})
    done = run("doctor")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "check\tstate\tfound\twhat to do"
    assert done.stdout.splitlines()[1].startswith("settings\twell\tdevelopment")
    assert done.stdout.splitlines()[2] == "a\twell\tfine\t"


def test_where_nothing_runs_each_part_is_named_with_what_to_do(run: Run, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = run("doctor", "--json", BASE_URL=url, ORDERS_DATA_DIR=str(tmp_path / "data"))
    found = [Finding(**one) for one in json.loads(done.stdout)]
    assert states(found) == {
        "settings": "well",
        "data folder": "well",
        "database": "unreachable",
        "RabbitMQ": "well",
        "exchange": "unreachable",
        "access": "well",
        "port": "well",
        "API": "unreachable",
    }
    for finding in found:
        assert finding.state == "well" or "orders up" in finding.found + finding.to_do
    assert done.exit_code == 5
    assert not (tmp_path / "data").exists()


def test_an_unreadable_env_file_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"\xff")
    loaded, findings = check_settings()
    assert loaded is not None
    assert the_only(findings).check == "setting .env"


def test_a_data_folder_is_well_where_it_is_or_can_be_made(tmp_path: Path) -> None:
    assert "will be made" in the_only(check_data_folder(settings(tmp_path))).found
    (tmp_path / "data").mkdir()
    assert the_only(check_data_folder(settings(tmp_path))).state == "well"


def test_a_data_folder_that_is_a_file_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    finding = the_only(check_data_folder(settings(tmp_path)))
    assert (finding.state, "is no folder" in finding.found) == ("wrong", True)


def test_a_disk_that_is_nearly_full_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LOW_DISK_BYTES", 1 << 62)
    finding = the_only(check_data_folder(settings(tmp_path)))
    assert finding.state == "wrong"
    assert "make room" in finding.to_do


def test_the_simulated_exchange_answers_a_ping(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "exchange") as exchange:
        finding = the_only(check_venue(settings(tmp_path, EXCHANGE_ADDRESS=exchange.address)))
    assert (finding.state, exchange.address in finding.found) == ("well", True)


@pytest.mark.parametrize(
    ("says", "state"), [(b'{"id":1}\n', "wrong"), *((says, "unreachable") for says in (b"smtp\n", b'"\xff"\n', b""))]
)
def test_what_is_no_exchange_is_told_from_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: bytes, state: str
) -> None:
    monkeypatch.setattr(checks, "DOCTOR_CHECK_S", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        server.settimeout(5)
        given = settings(tmp_path, EXCHANGE_ADDRESS=address)
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(lambda: the_only(check_venue(given)))
            with server.accept()[0] as connection:
                connection.sendall(says)
                finding = asking.result(10)
    assert finding.state == state
    assert address in finding.found


def test_an_exchange_by_import_path_is_loaded(tmp_path: Path) -> None:
    found = the_only(check_venue(settings(tmp_path, EXCHANGE="examples.stock_exchange:place_order")))
    assert found.state == "well"
    missing = the_only(check_venue(settings(tmp_path, EXCHANGE="no.such:thing")))
    assert (missing.state, "no module" in missing.found) == ("wrong", True)


def test_a_port_of_another_program_is_wrong(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        finding = the_only(check_port(settings(tmp_path, BASE_URL=f"http://127.0.0.1:{port}")))
    assert finding.state == "wrong"
    assert "in use by pid" in finding.found


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, {"status": "ready", "reasons": []}, [("well", "is ready")]),
        (503, {"status": "not ready", "reasons": ["no a", "no b"]}, [("wrong", "no a"), ("wrong", "no b")]),
        (200, "<html>", [("wrong", "not as this service does")]),
        (200, [], [("wrong", "not as this service does")]),
    ],
)
def test_the_api_says_itself_whether_it_is_ready(
    tmp_path: Path, api: ScriptedApi, status: int, body: object, found: list[tuple[str, str]]
) -> None:
    api.answers(status, body)
    findings = list(check_api(settings(tmp_path, BASE_URL=api.url)))
    assert [finding.state for finding in findings] == [state for state, _ in found]
    for finding, (_, words) in zip(findings, found, strict=True):
        assert words in finding.found


def test_a_database_that_cannot_be_reached_is_one_finding_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://u:{SECRET}@127.0.0.1:1/orders"
    finding = the_only(check_database(settings(tmp_path, DATABASE_URL=url)))
    assert finding.state == "unreachable"
    assert SECRET not in finding.found


def test_a_database_without_tables_wants_to_be_migrated(tmp_path: Path, empty_database_url: str) -> None:
    findings = {one.check: one for one in check_database(settings(tmp_path, DATABASE_URL=empty_database_url))}
    assert findings["schema"].state == "wrong"
    assert findings["schema"].to_do == "run `orders migrate`"
    assert (findings["followers"].state, findings["orders"].state) == ("unknown", "unknown")


def test_a_database_in_use_shows_followers_and_orders_that_are_held_up(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(tmp_path, DATABASE_URL=database_url)
    names = [f"follower {name}" for name in sorted([*(one.name for one in PROJECTIONS), HASH_CHAIN, FOLLOWER])]
    fresh = list(check_database(given))
    assert {one.check: one.found for one in fresh if one.check in names} == dict.fromkeys(names, "has never run")
    assert states(fresh) == {
        "database": fresh[0].state,
        "schema": "well",
        "database role": "well",
        **dict.fromkeys(names, "wrong"),
        "hash chain": "well",
        "orders": "well",
        "alerts": "well",
    }

    first, parked = uuid4(), uuid4()
    with psycopg.connect(database_url, autocommit=True) as other:
        for follower in (*(one.name for one in PROJECTIONS), HASH_CHAIN, FOLLOWER):
            other.execute("insert into follower_checkpoint (name) values (%s)", (follower,))
            other.execute("select pg_advisory_lock(hashtextextended('follower ' || %s, 0))", (follower,))
        for order_id, delivery in ((first, "in_doubt"), (parked, "parked"), (uuid4(), "queued")):
            other.execute(
                "insert into adapter_duties (order_id, shard, since_position, position, version, delivery, symbol,"
                " attempts, failures, pending_cancel, pending_replace, unwanted, reason)"
                " values (%s, 1, 1, 1, 1, %s, 'EURUSD', 0, 0, false, false, false, 'no answer')",
                (order_id, delivery),
            )
        for worker, silent_s in (("w-1", 0), ("w-2", 60)):
            other.execute(
                "insert into adapter_workers (worker, venue, backend_pid, seen_at)"
                " values (%s, 'simulated', 1, now() - make_interval(secs => %s))",
                (worker, silent_s),
            )
        other.execute("update adapter_duties set delivery = 'in_doubt' where delivery = 'parked'")
        settling = next(one for one in check_database(given) if one.check == "orders")
        assert (settling.state, settling.found.split(" (")[0]) == ("well", "2 in doubt that may settle themselves")
        other.execute("update adapter_duties set delivery = 'parked' where order_id = %s", (parked,))
        alert = "insert into adapter_alerts values ('order_held', %s, now(), now(), 1, 1, null, 'in doubt')"
        other.execute(alert, (str(first),))
        held = {one.check: one for one in check_database(given)}
    assert {held[name].found for name in names} == {"at position 0 of 0; followed"}
    assert held["orders"].state == "wrong"
    assert f"1 in doubt (first: {first}, no answer), 1 parked" in held["orders"].found
    assert (held["adapters"].state, held["adapters"].found) == ("wrong", "w-2 told nothing for 60 s")
    assert (held["alerts"].state, held["alerts"].found) == ("wrong", "1 order_held")

    left = {one.check: one for one in check_database(given)}
    assert {left[name].found for name in names} == {"at position 0 of 0; nobody follows"}
    assert "orders projector" in left["follower trades"].to_do
    assert "orders adapter" in left[f"follower {FOLLOWER}"].to_do

    monkeypatch.setattr(database_checks, "READY_LAG_EVENTS", -1)
    assert database_checks._follower("trades", 1, 9, True).state == "wrong"


def test_how_far_the_hash_chain_reaches_is_shown_and_that_the_logs_end_is_missing(
    tmp_path: Path, database_url: str
) -> None:
    given = settings(tmp_path, DATABASE_URL=database_url)

    def chain() -> Finding:
        return next(one for one in check_database(given) if one.check == "hash chain")

    assert (chain().state, chain().found) == ("well", "covers 0 of 0 events")
    store = PostgresEventStore(database_url)
    store.append([unit(events=3)])
    head = chain_log(store, database_url)
    store.append([unit()])
    assert (chain().state, chain().found) == ("well", f"covers 3 of 4 events; head {head}")
    tamper(database_url, "delete from order_events where notification_id > 2")
    assert chain().state == "wrong"
    assert "it knows 3 events, and the log has 2" in chain().found
    store.close()


def test_tables_beside_the_live_ones_are_shown_with_their_size(tmp_path: Path, database_url: str) -> None:
    given = settings(tmp_path, DATABASE_URL=database_url)
    assert "table sets" not in states(check_database(given))
    with psycopg.connect(database_url) as connection:
        connection.execute("create schema projection_trades_old")
        connection.execute("create table projection_trades_old.fills as select generate_series(1, 5000) as n")
    kept = next(one for one in check_database(given) if one.check == "table sets")
    assert (kept.state, kept.found) == ("well", "projection_trades_old 0.2 MB")
    assert "_old: for `--rollback`" in kept.to_do


def test_live_tables_that_are_not_whole_are_wrong(tmp_path: Path, database_url: str) -> None:
    given = settings(tmp_path, DATABASE_URL=database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        make_tables(connection, TRADES)
        connection.execute("delete from projection_trades.reached")
    broken = next(one for one in check_database(given) if one.check == "table sets")
    assert (broken.state, broken.to_do) == ("wrong", "`orders replay --projection trades` makes them anew")
    assert broken.found.endswith("not whole: its table reached has 0 rows instead of one")


def test_a_server_that_may_lose_what_was_accepted_or_is_too_old_is_wrong(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(tmp_path, DATABASE_URL=database_url)
    assert "fsync off" in next(check_database(given)).found  # as the tests' server runs
    monkeypatch.setattr(database_checks, "OLDEST_POSTGRESQL", 99)
    assert next(check_database(given)).to_do == "use PostgreSQL 99 or newer"
