"""Fixtures on a real RabbitMQ: one node for a whole test run, of all its processes, and a virtual host for each test.

The node is started when the first test asks for it, which takes some 14 s, and ends with the run (`rabbitmq_node`).
Whoever kills or freezes it has it alone meanwhile: `fragile_rabbit`. The time limit of a test counts from where it has
the node: what it waits for until then other tests do, and that has bounds of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, TextIO
from urllib.parse import quote

import httpx
import pytest

from tests.support.rabbitmq_node import BOOT_S, SERVER, SOCKET
from tests.support.waiting import wait_until

WORKER = "PYTEST_XDIST_WORKER"
BREAKS_IT_S = 300.0  # the limit of a test that breaks the node: to start it again may take BOOT_S alone
TURN_S = 600.0  # to wait for others: two who break the node, one after the other, each up to its limit
_numbers = count(1)


class Rabbit:
    """The run's node, as seen from one of its processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(BOOT_S)
        self._connection.connect(str(folder / SOCKET))
        self._about: dict[str, Any] = {}
        self._ask("about")
        url = f"http://127.0.0.1:{self._about['api_port']}/api"
        self._api = httpx.Client(base_url=url, auth=("guest", "guest"), timeout=30.0, trust_env=False)

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        pid: int | None = self._about["pid"]
        return pid

    def start(self) -> None:
        """Returns when it takes connections."""
        self._ask("start")

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        self._ask("kill")

    def freeze(self) -> None:
        """It keeps its connections and says nothing any more."""
        self._ask("freeze")

    def thaw(self) -> None:
        self._ask("thaw")

    def control(self, *command: str) -> None:
        """`rabbitmqctl`; takes a second or two."""
        self._ask("control", *command)

    def url(self, vhost: str, *, user: str = "guest", password: str = "guest", tls: bool = False) -> str:
        port = self._about["tls_port" if tls else "port"]
        end = f"?cafile={quote(self._about['ca_file'])}" if tls else ""
        return f"{'amqps' if tls else 'amqp'}://{user}:{password}@127.0.0.1:{port}/{vhost}{end}"

    def add_vhost(self) -> str:
        """The name of a new virtual host."""
        name = f"{os.environ.get(WORKER, 'main')}-{os.getpid()}-{next(_numbers)}"
        self.put(f"/vhosts/{name}")
        self.permit(name, "guest")
        return name

    def remove_vhost(self, name: str) -> None:
        self._api.delete(f"/vhosts/{name}")

    def add_user(self, name: str, password: str) -> None:
        self.put(f"/users/{name}", password=password, tags="")

    def permit(self, vhost: str, user: str, *, configure: str = ".*", write: str = ".*", read: str = ".*") -> None:
        """Regular expressions over names of exchanges and queues."""
        self.put(f"/permissions/{vhost}/{user}", configure=configure, write=write, read=read)

    def put(self, path: str, **body: object) -> None:
        """A request of the management API."""
        self._api.put(path, json=body).raise_for_status()

    def post(self, path: str, **body: object) -> None:
        self._api.post(path, json=body).raise_for_status()

    def get(self, path: str) -> Any:
        answer = self._api.get(path)
        answer.raise_for_status()
        return answer.json()

    def connections(self) -> list[str]:
        """The names that clients gave their connections."""
        return [one.get("user_provided_name", "") for one in self.get("/connections")]

    @contextmanager
    def used(self, how: int) -> Iterator[None]:
        """Shared with others (LOCK_SH), or alone (LOCK_EX)."""
        with (self._folder / "use").open("a") as file:
            lock(file, how, TURN_S)
            yield

    def restored(self) -> None:
        """It runs, whatever a test has left."""
        self._ask("about")
        if self.pid is None:
            self.start()
        self.thaw()

    def close(self) -> None:
        self._api.close()
        self._connection.close()

    def _ask(self, method: str, *arguments: str) -> None:
        self._connection.sendall(json.dumps([method, *arguments]).encode())
        with self._connection.makefile() as answers:
            answer = json.loads(answers.readline())
        self._about = answer
        assert answer["failure"] is None, answer["failure"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures: list[str] = getattr(item, "fixturenames", [])
        if "rabbit" in fixtures:
            item.add_marker(time_limit(fixtures, item.get_closest_marker("timeout")), append=False)


def time_limit(fixtures: Collection[str], given: pytest.Mark | None = None) -> pytest.MarkDecorator:
    """Of a test with these fixtures, from where it has them; `given` is the limit that it sets itself."""
    if given is not None:
        return pytest.mark.timeout(*given.args, func_only=True)
    own = (BREAKS_IT_S,) if "fragile_rabbit" in fixtures else ()
    return pytest.mark.timeout(*own, func_only=True)


def lock(file: TextIO, how: int, within_s: float) -> None:
    """flock(2), within a bound. It blocks, in a thread: who only tries now and then may never have its turn."""
    waiting = Thread(target=fcntl.flock, args=(file, how), daemon=True)
    waiting.start()
    waiting.join(within_s)
    assert not waiting.is_alive(), f"waited {within_s} s in vain for {file.name}, which others hold"


@pytest.fixture(scope="session")
def rabbit() -> Iterator[Rabbit]:
    """The run's node. Tests take `amqp_url` or `fragile_rabbit`."""
    assert SERVER.exists(), "rabbitmq-server is missing: requirements/debian rabbitmq-server installs it"
    runner = os.getppid() if WORKER in os.environ else os.getpid()
    folder = Path(tempfile.gettempdir()) / f"orders-rabbitmq-{runner}"
    with Path(f"{folder}.lock").open("a") as file:
        lock(file, fcntl.LOCK_EX, TURN_S)  # whoever comes first starts it, the others wait
        with_guardian(folder, lambda folder: _start_guardian(folder, runner))
        node = Rabbit(folder)
    yield node
    node.close()


@pytest.fixture
def amqp_url(rabbit: Rabbit) -> Iterator[str]:
    """A virtual host of the test's own, in a node that nobody breaks meanwhile."""
    with rabbit.used(fcntl.LOCK_SH):
        vhost = rabbit.add_vhost()
        yield rabbit.url(vhost)
        rabbit.remove_vhost(vhost)


@pytest.fixture(scope="module")
def module_vhost(rabbit: Rabbit) -> Iterator[str]:
    """A virtual host for all tests of a module: to make all queues in one takes a second."""
    with rabbit.used(fcntl.LOCK_SH):
        vhost = rabbit.add_vhost()
    yield vhost
    with rabbit.used(fcntl.LOCK_SH):
        rabbit.remove_vhost(vhost)


@pytest.fixture
def module_amqp_url(rabbit: Rabbit, module_vhost: str) -> Iterator[str]:
    """The module's virtual host, in a node that nobody breaks meanwhile."""
    with rabbit.used(fcntl.LOCK_SH):
        yield rabbit.url(module_vhost)


@pytest.fixture
def fragile_rabbit(rabbit: Rabbit) -> Iterator[Rabbit]:
    """The node, for a test that breaks it: nobody else uses it meanwhile, and it runs again afterwards."""
    with rabbit.used(fcntl.LOCK_EX):
        yield rabbit
        rabbit.restored()


def with_guardian(folder: Path, start: Callable[[Path], None]) -> None:
    """Starts one where none listens. What is there then was left by one that was killed: a run had this process id."""
    if not _listens(folder):
        shutil.rmtree(folder, ignore_errors=True)
        start(folder)


def _listens(folder: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(folder / SOCKET))
    except OSError:
        return False
    return True


def _start_guardian(folder: Path, runner: int) -> None:
    """In a session of its own: Ctrl-C is for the run, at whose end the guardian ends too."""
    folder.mkdir(mode=0o700)
    command = [sys.executable, "-m", "tests.support.rabbitmq_node", str(folder), str(runner)]
    output = (os.POSIX_SPAWN_OPEN, 2, str(folder / "guardian"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    silent = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
    guardian = os.posix_spawn(sys.executable, command, os.environ, file_actions=[*silent, output], setsid=True)

    def listens() -> bool:
        assert os.waitpid(guardian, os.WNOHANG) == (0, 0), "RabbitMQ did not start"
        return _listens(folder)

    wait_until(listens, within_s=BOOT_S, what="RabbitMQ")
