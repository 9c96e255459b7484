"""Whether an address is free, and who has it if not."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from order_service.configuration.settings import Address
from order_service.errors import AddressInUse
from order_service.processes import listening
from order_service.processes.listening import Holder, holder_of, require_free
from tests.support.running_service import free_port


@pytest.fixture
def taken() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Address("127.0.0.1", server.getsockname()[1])


def refusal(address: Address) -> str:
    with pytest.raises(AddressInUse) as caught:
        require_free(address)
    return str(caught.value)


def test_a_free_address_is_free_and_stays_so() -> None:
    address = Address("127.0.0.1", free_port())
    require_free(address)
    require_free(address)


def test_a_port_whose_last_connections_are_just_closing_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            pass
    require_free(Address("127.0.0.1", port))


def test_who_listens_there_is_named_with_what_to_do(taken: Address) -> None:
    said = refusal(taken)
    assert said.startswith(f'port {taken.port} is in use (pid {os.getpid()}, "')
    assert said.endswith("Stop it, or set BASE_URL to another port")
    assert "\n" not in said


def test_a_listener_that_cannot_be_seen_is_not_named(taken: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "holder_of", lambda port: None)
    assert refusal(taken) == f"port {taken.port} is in use. Stop it, or set BASE_URL to another port"


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_says_so(host: str) -> None:
    assert refusal(Address(host, 8000)).startswith(f"BASE_URL or LISTEN: cannot listen on {host}:8000: ")


def test_a_dying_process_of_ours_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lost its supervisor, so it is about to end: here it does when it was looked at twice."""
    server = socket.create_server(("127.0.0.1", 0))
    looks = 0

    def look(port: int) -> Holder:
        nonlocal looks
        looks += 1
        if looks == 2:
            server.close()
        return Holder(pid=7, command="python -m order_service api", ours=True, orphaned=True)

    monkeypatch.setattr(listening, "holder_of", look)
    require_free(Address("127.0.0.1", server.getsockname()[1]))
    assert looks == 2


def test_a_dying_process_is_waited_for_within_a_bound(taken: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "DYING_LISTENER_S", 0.2)
    monkeypatch.setattr(listening, "holder_of", lambda port: Holder(pid=7, command="x", ours=True, orphaned=True))
    assert "(pid 7" in refusal(taken)


def test_processes_of_an_order_service_are_told_from_others() -> None:
    listen = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    for name, ours in (("order_service", True), ("another_service", False)):
        command = [sys.executable, "-c", listen, "-m", name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            holder = holder_of(int(process.stdout.readline()))
            process.communicate("\n", timeout=10)
        assert holder is not None
        assert (holder.pid, holder.ours, holder.orphaned) == (process.pid, ours, False)


def test_nobody_holds_a_free_port() -> None:
    assert holder_of(free_port()) is None
