"""What the deployment files name exists, and is what they take it for. Docker itself is not needed for any of it."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from order_service.cli.program import COMMANDS
from order_service.configuration.secret_files import FILE_NAMES
from order_service.configuration.settings import NAMES, load_settings
from tests.support.compose_file import Service, compose_file, image_words, services, stage_text
from tests.tidy.tree import ROOT, project_files

FILES = project_files()
EXACT_TAG = re.compile(r"^[\w./-]+:v?\d+\.\d+[\w.-]*$|@sha256:[0-9a-f]{64}$")
LOOPBACK = re.compile(r"^127\.0\.0\.1:\d+:\d+$")
WRITABLE = {"rabbitmq"}  # each with its reason in compose.yaml
PEOPLE_OPEN = {"nginx", "grafana"}
SYSTEMD = ROOT / "deploy/systemd"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
NGINX = {name: (ROOT / name).read_text(encoding="utf-8") for name in FILES if name.startswith("deploy/nginx/")}

every_service = pytest.mark.parametrize("service", services().values(), ids=lambda service: service.name)
every_part = pytest.mark.parametrize(
    "service", [one for one in services().values() if one.is_part], ids=lambda service: service.name
)


def exists(path: str) -> bool:
    return path in FILES or any(name.startswith(f"{path}/") for name in FILES)


def secrets_made(folder: Path) -> set[str]:
    """What make-secrets makes, in a folder of its own, after a run that was ended halfway; a second run is refused."""
    script = folder / "make-secrets"
    script.write_bytes((ROOT / "deploy/compose/make-secrets").read_bytes())
    (folder / "secrets.unfinished").mkdir()
    (folder / "secrets.unfinished/left").touch()
    subprocess.run(["bash", script], check=True, capture_output=True)
    assert subprocess.run(["bash", script], check=False, capture_output=True).returncode == 1
    return {path.name for path in (folder / "secrets").iterdir()}


# compose.yaml


@every_service
def test_an_image_has_an_exact_version(service: Service) -> None:
    assert EXACT_TAG.search(service.given["image"])


@every_service
def test_a_service_has_no_rights_that_it_does_not_need(service: Service) -> None:
    given = service.given
    assert given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert given["read_only"] is (service.name not in WRITABLE)
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(given)
    assert not any("docker.sock" in source for source, _ in service.mounts)


@every_service
def test_only_what_people_open_is_published_and_to_this_machine_only(service: Service) -> None:
    assert bool(service.published) is (service.name in PEOPLE_OPEN)
    assert [one for one in service.published if not LOOPBACK.match(one)] == []


@every_service
def test_what_a_service_mounts_exists(service: Service) -> None:
    volumes = compose_file()["volumes"]
    for source, _ in service.mounts:
        if source != "./tests/compose":  # the report's, which Docker makes
            assert exists(source.removeprefix("./")) if source.startswith("./") else source in volumes, source
    assert set(service.secrets) <= set(compose_file()["secrets"])


@every_service
def test_a_service_waits_for_services_that_can_say_that_they_are_ready(service: Service) -> None:
    for name, condition in service.needs.items():
        check = services()[name].given.get("healthcheck", {"disable": True})
        assert condition == ("service_started" if check.get("disable") else "service_healthy"), name


def test_every_volume_and_secret_is_used() -> None:
    mounted = {source for one in services().values() for source, _ in one.mounts}
    assert set(compose_file()["volumes"]) <= mounted
    assert set(compose_file()["secrets"]) == {name for one in services().values() for name in one.secrets}


@every_part
def test_a_part_is_a_command_of_ours_with_settings_of_ours(service: Service) -> None:
    if service.name == "prepare":
        script = (ROOT / "deploy/compose/prepare").read_text(encoding="utf-8")
        called = re.findall(r"\borders (\w+)", script)
    else:
        program, *called = service.words
        assert program == "orders"
    assert called
    assert set(called) <= set(COMMANDS)
    assert set(service.environment) <= {*NAMES, *FILE_NAMES, "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    named = {value for name, value in service.environment.items() if name in FILE_NAMES}
    assert named <= set(service.secrets.values())


def test_the_parts_are_all_that_runs_without_the_supervisor() -> None:
    started = {one.words[1] for one in services().values() if one.is_part and one.name != "prepare"}
    assert started == {"api", "projector", "adapter", "relay", "exchange"}


def test_the_secrets_are_made_by_the_script(tmp_path: Path) -> None:
    files = {Path(given["file"]) for given in compose_file()["secrets"].values()}
    assert {path.parent.as_posix() for path in files} == {"deploy/compose/secrets"}
    assert {path.name for path in files} == secrets_made(tmp_path)


def test_no_secret_stands_in_the_file() -> None:
    for service in services().values():
        for name, value in service.environment.items():
            if re.search("PASSWORD|SECRET|KEY|_URL", name) and not name.startswith("BASE_URL"):
                assert name.endswith("_FILE"), name
                assert value.startswith("/run/")


# The image


def test_the_image_is_of_an_exact_version_and_runs_as_nobody_special() -> None:
    bases = [base for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) if base != "build"]
    assert bases
    assert [base for base in bases if not EXACT_TAG.search(base)] == []
    service = stage_text("service")
    assert re.findall(r"^USER (.*)$", service, re.MULTILINE) == ["10001:10001"]
    assert not re.search(r"\b(pip|apt-get|gcc)\b", service)
    assert "\nSTOPSIGNAL SIGTERM\n" in service


def test_every_instruction_has_the_form_that_signals_pass() -> None:
    logical = DOCKERFILE.replace("\\\n", " ")
    for line in re.findall(r"^(?:RUN|ENTRYPOINT|CMD|HEALTHCHECK .*? CMD) +(.*)$", logical, re.MULTILINE):
        assert all(isinstance(word, str) for word in json.loads(line)), line
    assert image_words("service", "ENTRYPOINT") == ["orders"]


def test_the_image_installs_what_the_locks_name_and_nothing_else() -> None:
    for line in re.findall(r'^RUN \["/opt/orders/bin/pip", "install", (.*)\]$', DOCKERFILE, re.MULTILINE):
        assert '"--require-hashes"' in line or '"--no-index", "--no-deps"' in line, line


def test_what_the_image_copies_is_in_the_build_and_nothing_else_is() -> None:
    copied = {
        source
        for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for source in sources.split()
    }
    rules = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line]
    admitted = {line[1:] for line in rules if line.startswith("!")}
    assert all(exists(path) for path in copied)
    assert next(rule for rule in rules if not rule.startswith("#")) == "*"
    assert admitted == copied


def test_the_image_has_the_projects_version() -> None:
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert f'org.opencontainers.image.version="{version}"' in DOCKERFILE
    built = {one.given["image"] for one in services().values() if "build" in one.given}
    assert built == {f"order-service:{version}", f"order-service-tests:{version}"}


# systemd


def test_what_systemd_starts_serves_nobody_without_credentials_and_believes_nginx() -> None:
    """Whatever reaches nginx reaches the service; local mode would start on 127.0.0.1, and take it for this machine."""
    ports = set(re.findall(r"^\s*server 127.0.0.1:(\d+) ", NGINX["deploy/nginx/upstream.conf"], re.MULTILINE))
    assert ports
    for port in ports:
        settings = load_settings({"LISTEN": f"127.0.0.1:{port}"}, SYSTEMD / "orders.env")
        assert settings.access.required
        assert settings.trusted_proxy == "127.0.0.1"
        assert settings.production
        assert settings.database_url


def test_no_setting_of_a_unit_can_be_undone_by_its_file_of_settings() -> None:
    """A line of EnvironmentFile wins over Environment (systemd.exec)."""
    units = {path.name: path.read_text(encoding="utf-8") for path in SYSTEMD.glob("*.service")}
    assert set(units) == {"orders@.service", "orders-api@.service"}
    for name, unit in units.items():
        assert not re.search(r"^Environment=", unit, re.MULTILINE), name
        assert "\nEnvironmentFile=/etc/orders/orders.env\n" in unit
    assert "ExecStart=/usr/bin/env LISTEN=127.0.0.1:%i /opt/orders/bin/orders api\n" in units["orders-api@.service"]
    assert "LISTEN=" not in (SYSTEMD / "orders.env").read_text(encoding="utf-8")


def test_the_recipe_starts_all_that_the_settings_need_and_says_where_nginx_listens() -> None:
    """With the simulated exchange nothing is placed unless it runs, too, and clients are answered 201 all the same."""
    recipe = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    (started,) = re.findall(r"systemctl enable --now (.*)", recipe)
    settings = load_settings({}, SYSTEMD / "orders.env")
    ports = re.findall(r"^\s*server 127.0.0.1:(\d+) ", NGINX["deploy/nginx/upstream.conf"], re.MULTILINE)
    parts = {"projector", "adapter"}
    parts |= {"exchange"} if settings.exchange == "simulated" else set()
    parts |= {"relay"} if settings.amqp_url else set()
    assert set(started.split()) == {f"orders-api@{port}" for port in ports} | {f"orders@{part}" for part in parts}
    assert parts <= set(COMMANDS)
    assert re.search(r"^EXCHANGE=", (SYSTEMD / "orders.env").read_text(encoding="utf-8"), re.MULTILINE)
    for name in ("server.conf", "tls.conf"):
        for port in re.findall(r"^\s*listen (\d+)", NGINX[f"deploy/nginx/{name}"], re.MULTILINE):
            assert re.search(rf"\b{port}\b", recipe), port


# nginx, Prometheus and Grafana


def test_nginx_repeats_no_post() -> None:
    directives = [line.partition("#")[0] for text in NGINX.values() for line in text.splitlines()]
    assert not any("non_idempotent" in line for line in directives)
    assert any(line.strip().startswith("proxy_next_upstream ") for line in directives)


def test_nginx_finds_every_file_that_it_includes() -> None:
    mounted = {target.rpartition("/")[2] for _, target in services()["nginx"].mounts}
    for name in ("nginx.conf", "server.conf"):
        for included in re.findall(r"^\s*include (\S+);", NGINX[f"deploy/nginx/{name}"], re.MULTILINE):
            assert f"deploy/nginx/{included}" in NGINX
            assert included in mounted


def test_nginx_shares_out_to_the_api_processes() -> None:
    ours = {one.name for one in services().values() if one.is_part and one.words[1] == "api"}
    found = re.findall(r"^\s*server (\S+?):(\d+) ", NGINX["deploy/nginx/upstream.compose.conf"], re.MULTILINE)
    assert {(host, port) for host, port in found} == {(name, "8000") for name in ours}
    assert {services()[name].environment["LISTEN"] for name in ours} == {"0.0.0.0:8000"}


def test_prometheus_asks_services_and_every_api() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    targets = [
        target for job in config["scrape_configs"] for given in job["static_configs"] for target in given["targets"]
    ]
    assert {target.partition(":")[0] for target in targets} <= set(services())
    assert {"api-1:8000", "api-2:8000"} <= set(targets)
    assert [name for name in config["rule_files"] if not exists(f"deploy/prometheus/{name}")] == []


def test_prometheus_has_the_one_key_that_is_kept_and_it_opens_nothing_else() -> None:
    prepare = (ROOT / "deploy/compose/prepare").read_text(encoding="utf-8")
    assert re.findall(r"\borders keys create .*", prepare) == [
        'orders keys create --account prometheus --name compose --scope admin >"$keys/prometheus.new"'
    ]
    config = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8")
    assert re.findall(r"/run/orders-keys/(\w+)", config) == ["prometheus"]
    assert {one.name for one in services().values() for source, _ in one.mounts if source == "keys"} == {
        "prepare",
        "prometheus",
    }


def test_the_key_of_the_tests_is_made_for_their_run_and_ends_by_itself() -> None:
    script = (ROOT / "deploy/compose/run-tests").read_text(encoding="utf-8").replace("\\\n", " ")
    (made,) = re.findall(r"\borders keys create .*", script)
    assert re.search(r" --expires \d+h\b", made)
    assert services()["tests"].given["profiles"] == ["test"]


def test_the_profile_runs_every_test_that_needs_nothing_but_an_address() -> None:
    tests = {name for name in FILES if name.startswith("tests/acceptance/test_")}
    asking = {name for name in tests if "service_to_ask(" in (ROOT / name).read_text(encoding="utf-8")}
    assert asking
    assert {word for word in services()["tests"].words if word.startswith("tests/")} == asking


def test_grafana_finds_its_data_and_its_dashboards() -> None:
    provisioning = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    assert source["url"].removeprefix("http://").partition(":")[0] in services()
    (provider,) = yaml.safe_load((provisioning / "dashboards/orders.yml").read_text(encoding="utf-8"))["providers"]
    mounts = {target: source for source, target in services()["grafana"].mounts}
    assert exists(mounts[provider["options"]["path"]].removeprefix("./"))
