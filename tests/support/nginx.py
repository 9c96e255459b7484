"""nginx with the configuration that is shipped, in a folder of its own and before API processes of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.running_service import ROOT, free_port
from tests.support.waiting import wait_until

SHIPPED = ROOT / "deploy/nginx"
STOP_S = 10.0
PATIENCE = "12s"
_SERVER = re.compile(r"\bserver (\S+:\d+) ")


class Nginx:
    """It runs when it has been made. `certificate` and its key, if there are any, are served by `tls.conf`;
    `patience` is how long it waits for an answer, where a test cannot wait as long as the shipped one."""

    def __init__(
        self,
        folder: Path,
        api_ports: Sequence[int],
        *,
        upstream: str = "upstream.conf",
        certificate: tuple[Path, Path] | None = None,
        patience: str = PATIENCE,
    ) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "nginx.log"
        self._write_configuration(folder, api_ports, upstream)
        _replace(folder / "proxy.conf", f"proxy_read_timeout    {PATIENCE};", f"proxy_read_timeout {patience};")
        if certificate is not None:
            self._serve_tls(folder, *certificate)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [nginx_program(), "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf", "-g", _as_this_account()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, what=f"nginx; its log: {self._log}")

    def _write_configuration(self, folder: Path, api_ports: Sequence[int], upstream: str) -> None:
        """The shipped one, with the addresses that are free here."""
        for path in SHIPPED.glob("*.conf"):
            text = path.read_text(encoding="utf-8").replace("/tmp/", f"{folder}/")
            for default, port in ((8080, self.port), (8443, self.tls_port)):
                text = text.replace(f"listen {default}", f"listen 127.0.0.1:{port}")
            (folder / path.name).write_text(text)
        text = re.sub(r"^resolver.*$", "", (SHIPPED / upstream).read_text(encoding="utf-8"), flags=re.MULTILINE)
        named = list(dict.fromkeys(_SERVER.findall(text)))
        ports = dict(zip(named, api_ports, strict=True))
        text = _SERVER.sub(lambda found: f"server 127.0.0.1:{ports[found[1]]} ", text).replace(" resolve ", " ")
        (folder / "upstream.conf").write_text(text)

    @staticmethod
    def _serve_tls(folder: Path, certificate: Path, key: Path) -> None:
        """As its first lines say."""
        (folder / "tls").mkdir()
        shutil.copy(certificate, folder / "tls/certificate.pem")
        shutil.copy(key, folder / "tls/key.pem")
        _replace(folder / "nginx.conf", "include server.conf;", "include tls.conf;")

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(STOP_S)

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"nginx ended: {self.tail()}"
        try:
            return httpx.get(self.url, trust_env=False).status_code > 0
        except httpx.TransportError:
            return False


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def nginx_program() -> str:
    """Installs Debian's where it may. Raises CalledProcessError, after one line on stderr that says what is missing."""
    subprocess.run([ROOT / "requirements/debian", "nginx"], check=True)
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert found is not None
    return found


def _as_this_account() -> str:
    """As root nginx would give its workers an account that may not pass the test's folder."""
    return "daemon off;" + (" user root;" if os.geteuid() == 0 else "")


@contextmanager
def running_nginx(
    folder: Path,
    api_ports: Sequence[int],
    certificate: tuple[Path, Path] | None = None,
    patience: str = PATIENCE,
) -> Iterator[Nginx]:
    nginx = Nginx(folder, api_ports, certificate=certificate, patience=patience)
    try:
        yield nginx
    finally:
        nginx.close()
