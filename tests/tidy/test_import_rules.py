"""The import contracts of pyproject.toml see the imports that they are there to refuse."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
ROOMS = {
    "orders": ["api", "broker", "domain", "eventstore", "log_check"],
    "projections": ["api"],
    "exchange_adapter": ["api", "work"],
    "event_relay": [],
    "simulated_exchange": [],
    "order_client": [],
    "order_service": [
        *("api", "cli", "configuration", "logs", "migrations"),
        *("monitoring", "postgres", "processes", "security", "tracing"),
    ],
}
# What stands where, in a tree that keeps every rule.
LEGAL = {
    "order_service/bootstrap.py": "import litestar, orders.api, projections.api, exchange_adapter.api",
    "order_service/processes/parts.py": "import exchange_adapter, simulated_exchange, order_service.bootstrap",
    "order_service/tracing/spans.py": "import opentelemetry.sdk.trace, exchange_adapter.venue",
    "order_service/__main__.py": "import order_service.cli.program",
    "order_service/openapi_document.py": "import order_service.bootstrap",
    "order_service/cli/program.py": "import order_service.processes.parts",
    "order_service/api/asgi.py": "import order_service.monitoring, order_service.security",
    "order_service/database.py": "import order_service.postgres",
    "order_service/database_roles.py": "",
    "order_service/exchange.py": "import order_service.configuration",
    "order_service/child_processes.py": "import order_service.child_exec, order_service.bounds",
    "order_service/child_exec.py": "",
    "order_service/errors.py": "",
    "order_service/bounds.py": "",
    "orders/api/routes.py": "import litestar, orders.handlers, orders.venue_reply",
    "orders/venue_reply.py": "import orders.handlers, orders.eventstore",
    "orders/handlers.py": "import orders.eventstore.postgres, orders.bounds",
    "orders/follower.py": "import orders.eventstore, orders.takeover",
    "orders/takeover.py": "import orders.eventstore",
    "orders/broker/link.py": "import aio_pika, orders.eventstore, orders.shards",
    "orders/shards.py": "",
    "orders/event_lines.py": "import orders.eventstore",
    "orders/token_bucket.py": "",
    "orders/unreadable.py": "",
    "orders/distribution.py": "",
    "orders/hash_chain.py": "import orders.follower",
    "orders/log_check/walk.py": "import orders.hash_chain",
    "orders/bounds.py": "",
    "orders/http.py": "import orders.strict_json",
    "orders/body_fields.py": "import orders.strict_json",
    "orders/strict_json.py": "import orders.request_errors, orders.domain",
    "orders/parameters.py": "import orders.request_errors, orders.path_segments, orders.domain",
    "orders/paging.py": "import orders.bounds",
    "orders/request_errors.py": "import orders.domain",
    "orders/path_segments.py": "",
    "orders/eventstore/postgres.py": "import eventsourcing, orders.domain, orders.bounds",
    "projections/projector.py": "import orders.follower, orders.domain",
    "projections/api/routes.py": "import litestar, projections.projector",
    "exchange_adapter/dispatcher.py": "import orders.handlers, orders.follower",
    "exchange_adapter/api/routes.py": "import litestar, orders.http",
    "exchange_adapter/work/consumer.py": "import aio_pika, orders.broker.link",
    "event_relay/relay.py": "import orders.broker.link, orders.follower",
}
# A forbidden import, and the contracts that refuse it.
FORBIDDEN = [
    ("projections/a.py", "import order_service", {"rooms"}),
    ("projections/a.py", "import exchange_adapter", {"rooms"}),
    ("exchange_adapter/a.py", "import simulated_exchange", {"rooms"}),
    ("orders/handlers.py", "import projections", {"rooms"}),
    ("event_relay/a.py", "import projections", {"rooms"}),
    ("event_relay/a.py", "import orders.handlers", {"reads"}),
    ("orders/domain/a.py", "import orders.eventstore", {"orders"}),
    ("orders/eventstore/a.py", "import orders.handlers", {"orders"}),
    ("orders/follower.py", "import orders.handlers", {"orders", "reads"}),
    ("orders/sundries.py", "", {"orders"}),
    ("orders/handlers.py", "import orders.venue_reply", {"orders"}),
    ("projections/a.py", "import orders.handlers", {"reads"}),
    ("projections/a.py", "from orders.api import routes", {"command-api", "reads"}),
    ("exchange_adapter/a.py", "import projections.api", {"query-api", "rooms"}),
    ("exchange_adapter/a.py", "import exchange_adapter.api", {"operators-api"}),
    ("simulated_exchange/a.py", "import orders.domain", {"simulated-exchange"}),
    ("order_client/a.py", "import orders.domain", {"order-client"}),
    ("order_client/a.py", "import projections", {"order-client", "rooms"}),
    ("orders/handlers.py", "import order_client", {"rooms"}),
    ("orders/handlers.py", "import eventsourcing.postgres", {"eventsourcing"}),
    ("projections/a.py", "from eventsourcing import persistence", {"eventsourcing"}),
    ("orders/handlers.py", "import litestar", {"litestar"}),
    ("projections/a.py", "from litestar.di import Provide", {"litestar"}),
    ("event_relay/a.py", "import aio_pika", {"aio-pika"}),
    ("exchange_adapter/a.py", "import aiormq", {"aio-pika"}),
    ("order_service/bootstrap.py", "import opentelemetry.trace", {"opentelemetry"}),
    ("order_service/security/a.py", "import order_service.api", {"order-service"}),
    ("order_service/sundries.py", "", {"order-service"}),
]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n", encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for room, parts in ROOMS.items():
        write(tmp_path / room / "__init__.py", "")
        for part in parts:
            write(tmp_path / room / part / "__init__.py", "")
    for path, text in LEGAL.items():
        write(tmp_path / path, text)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(tree: Path) -> set[str]:
    """The ids of the contracts that the tree breaks."""
    environment = os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "300"}
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    outcome = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    verdicts = {c["id"]: f"{c['name']} BROKEN" in outcome.stdout for c in CONTRACTS}
    assert all(f"{c['name']} " in outcome.stdout for c in CONTRACTS), outcome.stdout + outcome.stderr
    return {contract for contract, broken in verdicts.items() if broken}


def test_the_design_itself_breaks_no_contract(tree: Path) -> None:
    assert broken_contracts(tree) == set()


@pytest.mark.parametrize(("path", "text", "broken"), FORBIDDEN)
def test_a_forbidden_import_breaks_its_contract(tree: Path, path: str, text: str, broken: set[str]) -> None:
    write(tree / path, f"{LEGAL.get(path, '')}\n{text}")
    assert broken_contracts(tree) == broken


def test_every_contract_has_its_violation() -> None:
    assert {contract["id"] for contract in CONTRACTS} == set().union(*(broken for _, _, broken in FORBIDDEN))
