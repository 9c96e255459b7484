"""The servers of a measurement: each its own process on a free port of 127.0.0.1, ended by its process id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from order_service.database import migrate_and_grant, of_embedded
from order_service.postgres import EmbeddedPostgres

HOST = "127.0.0.1"
START_S = 60.0  # a start takes 2 s, the whole service 5; ten times that beside a busy test run
STOP_S = 10.0  # the service's own bound
POLL_S = 0.02
LISTENS = "The simulated exchange listens on "


class ServerFailed(Exception):
    """`str()` has the end of its log."""


class Server(Struct, frozen=True):
    name: str
    port: int
    pid: int


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """One that the account which PostgreSQL runs as may pass."""
    folder = Path(tempfile.mkdtemp(prefix="orders-bench-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def embedded_database(folder: Path) -> Iterator[str]:
    """The URL of a fresh, migrated database that waits for the disk, as the product's does."""
    with EmbeddedPostgres(folder / "data") as database:
        migrate_and_grant(of_embedded(database.url))
        yield database.url


@contextmanager
def order_api(folder: Path, database_url: str) -> Iterator[Server]:
    """The product's own API process."""
    port = free_port()
    settings = {"DATABASE_URL": database_url, "BASE_URL": f"http://{HOST}:{port}", "ORDERS_DATA_DIR": str(folder)}
    with _listening("durable", [sys.executable, "-m", "order_service", "api"], port, folder, settings) as server:
        yield server


class Stage(Struct, frozen=True):
    """The product's API on a database of its own, for benches that take turns on it."""

    folder: Path
    url: str
    api: Server


@contextmanager
def api_stage() -> Iterator[Stage]:
    """Raises ServerFailed."""
    with temporary_folder() as folder, embedded_database(folder) as url, order_api(folder, url) as api:
        yield Stage(folder, url, api)


@contextmanager
def whole_service(folder: Path, **settings: str) -> Iterator[Server]:
    """`orders up`: its own database, the simulated exchange and all; its data is in `folder`/data."""
    port = free_port()
    own = {"DATABASE_URL": "", "BASE_URL": f"http://{HOST}:{port}", "ORDERS_DATA_DIR": str(folder / "data")}
    command = [sys.executable, "-m", "order_service", "up"]
    with _listening("orders-up", command, port, folder, {**own, "EXCHANGE": "simulated", **settings}) as server:
        yield server


@contextmanager
def bare_server(factory: str, folder: Path) -> Iterator[Server]:
    """A bare app (module:function), on the same server as the product's API, set up alike."""
    port = free_port()
    command = [sys.executable, "-m", "load.bare_server", factory, str(port)]
    with _listening("bare", command, port, folder, {}) as server:
        yield server


@contextmanager
def part(name: str, folder: Path, settings: Mapping[str, str], number: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """A part of the service in a process of its own, `orders NAME`. Raises ServerFailed where it has ended by itself.

    What fails meanwhile is raised with the end of its log."""
    log = folder / f"{name}-{number}.log"
    with running([sys.executable, "-m", "order_service", name], log, settings) as process:
        try:
            yield process
        except ServerFailed as error:
            raise ServerFailed(f"{error}; {name} says: {end_of(log)}") from error
        if process.poll() not in (None, -signal.SIGKILL):
            raise ServerFailed(f"{name} has ended: {end_of(log)}")


@contextmanager
def running_exchange(folder: Path, *options: str) -> Iterator[Path]:
    """The simulated exchange; its socket. It reads its whole journal in `folder` before it listens."""
    log = folder.parent / f"{folder.name}.log"
    command = [sys.executable, "-m", "simulated_exchange", "--data-dir", str(folder), *options]
    with running(command, log, {}, output=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.readline().decode().rstrip()
        if not said.startswith(LISTENS):
            raise ServerFailed(f"the exchange does not listen: {end_of(log)}")
        yield Path(said.removeprefix(LISTENS))


@contextmanager
def running(
    command: Sequence[str], log: Path, settings: Mapping[str, str], *, output: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, and its end. What it says goes to the log, where `output` names no other place."""
    with log.open("wb") as out:
        environment = {**os.environ, **settings}
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output or out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


@contextmanager
def _listening(
    name: str, command: Sequence[str], port: int, folder: Path, settings: Mapping[str, str]
) -> Iterator[Server]:
    log = folder / f"{name}.log"
    with running(command, log, settings) as process:
        _wait_until_it_listens(process, port, log)
        yield Server(name, port, process.pid)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up_at = time.monotonic() + START_S
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise ServerFailed(f"{log.stem} does not answer: {end_of(log)}")
        time.sleep(POLL_S)


def _listens(port: int) -> bool:
    """A socket that listens is no worker that answers: it is asked."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as probe:
            probe.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return bool(probe.recv(16).startswith(b"HTTP/1.1"))
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
