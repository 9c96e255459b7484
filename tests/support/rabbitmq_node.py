"""A real RabbitMQ node in a folder of its own, as whoever we are, without systemd; it never outlives who started it.

`python -m tests.support.rabbitmq_node FOLDER RUNNER_PID` is the guardian of one that a whole test run shares
(`tests/support/rabbitmq.py`): it does what it is told over a socket, and ends the node when the run's process is gone,
however that ended.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from order_service.child_processes import spawn
from tests.support.running_service import free_port
from tests.support.waiting import wait_until

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
BOOT_S = 240.0  # 14 s on two cores that have nothing else to do; a minute where both are busy
END_S = 10.0
GUARD_POLL_S = 0.5
SOCKET = "guardian.sock"
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


class RabbitNode:
    """For the main thread of a process. The user guest has the password guest and every right."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.tls_port, self.api_port = free_port(), free_port(), free_port()
        self.ca_file = folder / "certificate.pem"
        self._epmd_port, self._dist_port = free_port(), free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._server is not None, "it does not run"
        return self._server.pid

    def start(self) -> None:
        """Returns when it takes connections."""
        if not self.ca_file.exists():
            self._furnish()
        environment = self._environment()
        if self._epmd is None:
            epmd = [str(shutil.which("epmd")), "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            self._epmd = self._spawn(epmd, environment)
        self._server = self._spawn([str(SERVER)], environment)
        wait_until(self._answers, within_s=BOOT_S, what=f"RabbitMQ, whose output is in {self.folder}/output")

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def control(self, *command: str) -> None:
        """`rabbitmqctl`; takes a second or two."""
        program = [str(SERVER.with_name("rabbitmqctl")), *command]
        subprocess.run(program, env=self._environment(), check=True, capture_output=True, timeout=BOOT_S)

    def close(self) -> None:
        """Its data is thrown away, so it need not end gently."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def about(self) -> dict[str, object]:
        return {
            "pid": self._server.pid if self._server else None,
            "port": self.port,
            "tls_port": self.tls_port,
            "api_port": self.api_port,
            "ca_file": str(self.ca_file),
        }

    def _spawn(self, argv: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / "output").open("ab") as output:
            return spawn(argv, env=environment, death_signal=signal.SIGKILL, stdout=output, stderr=output)

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "RABBITMQ_NODENAME": "test@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "environment"),
            "RABBITMQ_ALLOW_INPUT": "1",  # the script becomes the server, so that its pid is the server's
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
        }

    def _furnish(self) -> None:
        for name in ("mnesia", "log"):
            (self.folder / name).mkdir()
        (self.folder / "environment").write_text("")
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")
        key_file = self.folder / "key.pem"
        _certify(self.ca_file, key_file)
        settings = {
            "listeners.ssl.1": f"127.0.0.1:{self.tls_port}",
            "ssl_options.cacertfile": self.ca_file,
            "ssl_options.certfile": self.ca_file,
            "ssl_options.keyfile": key_file,
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": self.api_port,
            "log.file.level": "warning",
            "disk_free_limit.absolute": "50MB",
        }
        (self.folder / "rabbitmq.conf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, f"it ended: {(self.folder / 'output').read_text()[-2000:]}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(PROTOCOL_HEADER)
                if not connection.recv(1):
                    return False
            url = f"http://127.0.0.1:{self.api_port}/api/vhosts"
            return httpx.get(url, auth=("guest", "guest"), timeout=2.0, trust_env=False).status_code == 200
        except (OSError, httpx.HTTPError):
            return False


def _certify(certificate_file: Path, key_file: Path) -> None:
    """A certificate for 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a RabbitMQ for tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    certificate_file.write_bytes(certificate.public_bytes(pem))


class Guardian:
    """Keeps the node for all who are connected to its socket, one request and one answer a line."""

    def __init__(self, folder: Path, runner: psutil.Process) -> None:
        self._runner = runner
        self._node = RabbitNode(folder)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / SOCKET))
        self._clients: list[socket.socket] = []

    def run(self) -> None:
        try:
            self._node.start()
            self._socket.listen()
            while self._runner.is_running() and self._runner.status() != psutil.STATUS_ZOMBIE:
                ready, _, _ = select.select([self._socket, *self._clients], [], [], GUARD_POLL_S)
                for one in ready:
                    if one is self._socket:
                        self._clients.append(self._socket.accept()[0])
                    else:
                        self._serve(one)
        except psutil.NoSuchProcess:
            return
        finally:
            self._node.close()

    def _serve(self, client: socket.socket) -> None:
        request = b""
        with suppress(OSError):
            request = client.recv(4096)
        if not request:
            self._clients.remove(client)
            client.close()
            return
        method, *arguments = json.loads(request)
        failure = None
        try:
            getattr(self._node, method)(*arguments)
        except (AssertionError, subprocess.SubprocessError, ProcessLookupError) as error:
            failure = f"{type(error).__name__}: {error}"
        with suppress(OSError):
            client.sendall(json.dumps({"failure": failure, **self._node.about()}).encode() + b"\n")


def main(folder: str, runner_pid: str) -> None:
    try:
        Guardian(Path(folder), psutil.Process(int(runner_pid))).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Path(f"{folder}.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
