"""The services of compose.yaml as processes of this machine: their own words and settings, and nothing else.

What only a container has is put in their place: a path in the test's folder for each file and volume that is mounted,
and 127.0.0.1 with a free port for each host. PostgreSQL and RabbitMQ are given; Prometheus and Grafana are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.compose_file import ROOT, Service, image_sources, services
from tests.support.nginx import Nginx
from tests.support.running_service import free_port
from tests.support.waiting import wait_until

READY_S = 60.0
TESTS_S = 180.0
STOP_S = 20.0
_SCRIPTS = ("prepare", "run-tests")


class ComposedProcesses:
    """Each by its service's name. `secrets` has, by name, those that lead to PostgreSQL and RabbitMQ; `settings` go to
    all."""

    def __init__(self, folder: Path, secrets: Mapping[str, str], settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._settings = settings
        self._ports = {"api-1": free_port(), "api-2": free_port()}
        self._nginx: Nginx | None = None
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        exchange = f"127.0.0.1:{free_port()}"
        self._places = {
            "/run/secrets/": f"{folder}/secrets/",
            "/run/orders-keys": f"{folder}/keys",
            "/var/lib/orders-keys": f"{folder}/keys",
            **{f"/deploy/{name}": f"{folder}/{name}" for name in _SCRIPTS},
            "/tmp/prepared": f"{folder}/prepared",
            "/reports": f"{folder}/reports",
            "0.0.0.0:7000": exchange,
            "exchange:7000": exchange,
            "10.89.37.0/24": "127.0.0.1",
        }
        for name in ("keys", "secrets"):
            (folder / name).mkdir()
        for name, value in secrets.items():
            (folder / "secrets" / name).write_text(f"{value}\n")
        for name in _SCRIPTS:
            (folder / name).write_text(self._placed((ROOT / "deploy/compose" / name).read_text(), name))

    @property
    def api_urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    def written(self, name: str) -> list[str]:
        """What the part has written where its settings put data."""
        return [path.name for path in self._data(name).iterdir()]

    def key(self, name: str) -> str:
        return (self.folder / "keys" / name).read_text().strip()

    def start(self, *names: str) -> None:
        for name in names:
            service = services()[name]
            folder = self._data(name)
            if service.is_part and not any(target == "/var/lib/orders" for _, target in service.mounts):
                folder.chmod(0o555)  # as the read-only disk of its container; for root see `written`
            with self._log(name).open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [self._placed(word, name) for word in service.words],
                    cwd=folder,
                    env=self._environment(service),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def start_nginx(self) -> Nginx:
        """With its files as they are mounted; its words stand in `Nginx`."""
        self._nginx = Nginx(self._data("nginx"), list(self._ports.values()), upstream="upstream.compose.conf")
        self._places["http://nginx:8080"] = self._nginx.url
        return self._nginx

    def wait_until_healthy(self, *names: str) -> None:
        """As their health checks judge."""
        for name in names:
            service = services()[name]
            kind, *check = [self._placed(word, name) for word in service.given["healthcheck"]["test"]]
            assert kind == "CMD"

            def healthy(name: str = name, check: list[str] = check, service: Service = service) -> bool:
                assert self._running[name].poll() is None, f"{name} ended: {self.tail(name)}"
                return (
                    subprocess.run(check, env=self._environment(service), capture_output=True, check=False).returncode
                    == 0
                )

            wait_until(healthy, within_s=READY_S, what=f"{name}; its log: {self._log(name)}")

    def test(self) -> subprocess.CompletedProcess[str]:
        """What the profile `test` does, to its end, with nothing of the project but what its image has."""
        service = services()["tests"]
        image = self.folder / "image"
        for source in image_sources("build", "tests"):
            (image / source).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source, image / source, ignore=shutil.ignore_patterns("__pycache__", "report.html")
                )
            else:
                shutil.copy(ROOT / source, image / source)
        words = [self._placed(word, service.name) for word in service.words]
        environment = self._environment(service)
        return subprocess.run(
            words, cwd=image, env=environment, capture_output=True, text=True, timeout=TESTS_S, check=False
        )

    def stop_all(self) -> dict[str, int]:
        """The exit codes."""
        if self._nginx is not None:
            self._nginx.close()
            self._nginx = None
        for process in self._running.values():
            process.terminate()
        return {name: self._running.pop(name).wait(STOP_S) for name in list(self._running)}

    def tail(self, name: str) -> str:
        return self._log(name).read_text(errors="replace")[-2000:]

    def close(self) -> None:
        try:
            self.stop_all()
        finally:
            for process in self._running.values():
                process.kill()

    def _data(self, name: str) -> Path:
        """The container's own folder."""
        folder = self.folder / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _environment(self, service: Service) -> dict[str, str]:
        """Of this process it has the PATH only, behind the folder of the installed programs."""
        placed = {name: self._placed(value, service.name) for name, value in service.environment.items()}
        data = {"ORDERS_DATA_DIR": str(self._data(service.name))} if "ORDERS_DATA_DIR" in placed else {}
        return {**placed, **data, **self._settings, "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}

    def _placed(self, text: str, name: str) -> str:
        """With the places of this machine."""
        if name in self._ports:
            text = text.replace("0.0.0.0:8000", f"127.0.0.1:{self._ports[name]}")
            text = text.replace("127.0.0.1:8000/health", f"127.0.0.1:{self._ports[name]}/health")
        for old, new in self._places.items():
            text = text.replace(old, new)
        return text
