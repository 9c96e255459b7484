"""The data folder of the server: made whole or not at all, and never opened by another major version."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from order_service.bounds import INITDB_TIMEOUT_S, START_LIMIT_S
from order_service.errors import WrongDataVersion
from order_service.postgres.binaries import MAJOR_VERSION
from order_service.postgres.layout import (
    DATABASE,
    ROLE,
    SERVICE_ROLE,
    SUPERUSER,
    Layout,
    service_password,
    sync_folder,
    write_password,
)
from order_service.postgres.programs import Programs

_WORK_PREFIX = "initdb-"
_PASSWORD_BYTES = 24
# What a person may tune, in postgresql.conf. What our promises rest on stands on the command line (server.py).
_TUNABLE = {
    "shared_buffers": "256MB",
    "max_connections": "100",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than our short statements run
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "5s",
}


def ensure_cluster(layout: Layout, programs: Programs, *, durable: bool) -> None:
    """Makes the data folder if there is none. No server may run on it, and the home must be locked."""
    _remove_drafts(layout)
    if not layout.data.exists():
        _make_cluster(layout, programs, durable=durable)
        _remove_drafts(layout)
    _check_version(layout)
    if not layout.password_file.exists():
        _renew_password(layout, programs)


def _remove_drafts(layout: Layout) -> None:
    """As far as it goes: the initdb of a killed start may still write to its own, which the next start removes."""
    for draft in layout.home.glob(f"{_WORK_PREFIX}*"):
        shutil.rmtree(draft, ignore_errors=True)


def _check_version(layout: Layout) -> None:
    found = (layout.data / "PG_VERSION").read_text().strip()
    if found != MAJOR_VERSION:
        raise WrongDataVersion(
            f"{layout.data} was written by PostgreSQL {found}, and this version of the service brings {MAJOR_VERSION}: "
            f"dump it with the version that wrote it, or set ORDERS_DATA_DIR to another folder"
        )


def _make_cluster(layout: Layout, programs: Programs, *, durable: bool) -> None:
    """In a folder of its own, which then gets its name: a killed initdb leaves only what the next start removes."""
    password = secrets.token_hex(_PASSWORD_BYTES)
    work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=layout.home))
    data, password_file = work / "data", work / "password"
    password_file.write_text(f"{password}\n")
    if account := programs.account:
        os.chown(password_file, account.uid, account.gid)
        os.chown(work, account.uid, account.gid)
    sync = [] if durable else ["--no-sync"]
    settings = [f"--set={name}={value}" for name, value in _TUNABLE.items()]
    programs.run(
        "initdb",
        f"--pgdata={programs.path(data)}",
        f"--username={SUPERUSER}",
        f"--pwfile={programs.path(password_file)}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        *sync,
        *settings,
        timeout_s=INITDB_TIMEOUT_S,
    )
    role = f"create role {ROLE} login createdb password '{password}';\n"
    database = f"create database {DATABASE} owner {ROLE};\n"
    _run_single(programs, data, role + "".join(f"{line}\n" for line in service_role(password)) + database)
    write_password(layout, password)
    data.rename(layout.data)
    for folder in (layout.home, layout.data_dir, layout.data_dir.parent):
        with suppress(PermissionError):  # a folder above ours, which we may pass but not open
            sync_folder(folder)


def service_role(owner_password: str) -> tuple[str, ...]:
    """Statements that make the running parts' role. The owner is a member, so that it sees their sessions and may hand
    over tables."""
    password = service_password(owner_password)
    return f"create role {SERVICE_ROLE} login password '{password}';", f"grant {SERVICE_ROLE} to {ROLE};"


def _renew_password(layout: Layout, programs: Programs) -> None:
    """Somebody removed the file. Whoever may write it owns the data, so a new one takes nothing from anyone. The
    running parts' role gets its own once the server runs."""
    password = secrets.token_hex(_PASSWORD_BYTES)
    statements = [f"alter role {role} password '{password}';\n" for role in (ROLE, SUPERUSER)]
    _run_single(programs, layout.data, "".join(statements))
    write_password(layout, password)


def _run_single(programs: Programs, data: Path, statements: str) -> None:
    """Without a server and without a login; a crash before is recovered from first."""
    programs.run(
        "postgres",
        "--single",
        "-D",
        programs.path(data),
        "-c",
        "exit_on_error=on",
        "-c",
        "log_min_messages=error",
        "postgres",
        timeout_s=START_LIMIT_S,
        text=statements,
    )
