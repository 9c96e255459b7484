"""Asks the whole API what its own OpenAPI document promises, with values that nobody would think of.

    python -m tests.campaigns.api_fuzz --examples 200

Schemathesis makes requests of every operation, right and wrong ones, and then chains of them along the document's
links: an order that was placed is looked at, changed, canceled, changed again. No answer may be a 500, and each must be
declared, with its content type, its schema and its headers. /events is left out, since its answer never ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
import hypothesis
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

import tests.campaigns.fuzz_hooks  # noqa: F401 - its hook is registered by that
from tests.support.running_service import ROOT, ServiceAtUrl, running_service

PROMISES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
STEPS = 8  # of a chain: placed, looked at, changed twice, canceled, and what is no longer possible
ENDLESS = r"^/events$"
# At a service that others use: nothing is rebuilt or settled there, and what is left of /order is another name.
NOT_AT_OTHERS = r"^/(events|ops/.*|order|order/.*)$"
# Credentials are given. One that is made up beside them would have most requests refused before they are looked at.
SETTINGS = "[generation]\nwith-security-parameters = false\n"

Asked = Counter[tuple[str, str, int]]
"""How often each method, path and status came."""


def fuzz_operations(
    service: ServiceAtUrl, *, examples: int, phases: str, folder: Path, left_out: str = ENDLESS
) -> subprocess.CompletedProcess[str]:
    """Each operation by itself, but for paths that match `left_out`; exit code 1 where a promise is broken."""
    settings = folder / "schemathesis.toml"
    settings.write_text(SETTINGS)
    program = [f"{Path(sys.executable).parent}/schemathesis", "--config-file", str(settings), "--no-color"]
    command = [*program, "run", f"{service.url}/openapi.json"]
    for name, value in service.credentials.items():
        command += ["--header", f"{name}: {value}"]
    options = {
        "--checks": ",".join(PROMISES),
        "--max-examples": str(examples),
        "--phases": phases,
        "--exclude-path-regex": left_out,
        "--generation-database": "none",
        "--request-timeout": "20",
        "--seed": "1",
    }
    told = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.campaigns.fuzz_hooks", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, *(part for option in options.items() for part in option)],
        cwd=folder,
        env=told,
        check=False,
        capture_output=True,
        text=True,
    )


def fuzz_chains(service: ServiceAtUrl, *, examples: int) -> Asked:
    """Chains of requests about orders. Raises the failures of Schemathesis, with a curl line that repeats each."""
    asked: Asked = Counter()
    load_all_checks()
    checks = CHECKS.get_by_names(list(PROMISES))
    config = SchemathesisConfig.from_str(SETTINGS)
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json", config=config).include(path_regex="^/orders")
    machine: Any = schema.as_state_machine()

    class Chains(machine):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            _forget_keys(case)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": service.credentials}

        def validate_response(self, response: Any, case: Any, *args: Any, **more: Any) -> None:
            asked[case.method, case.operation.path, response.status_code] += 1
            case.validate_response(response, checks=checks)

    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    Chains.run(settings=settings)
    return asked


def _forget_keys(case: Any) -> None:
    """The service remembers them: the same order drawn again would be answered in another way, which Hypothesis takes
    for chance."""
    case.headers.pop("Idempotency-Key", None)
    if isinstance(case.body, dict):
        for order in (case.body, *(one for one in case.body.get("orders") or () if isinstance(one, dict))):
            order.pop("client_order_id", None)


@click.command(help=__doc__)
@click.option("--examples", default=200, show_default=True, help="Of each operation, and chains.")
def main(examples: int) -> None:
    with running_service() as service:
        run = fuzz_operations(service, examples=examples, phases="examples,coverage,fuzzing", folder=service.folder)
        print(run.stdout + run.stderr)
        asked = fuzz_chains(service, examples=examples)
    for (method, path, status), times in sorted(asked.items()):
        print(f"{method:7}{path:28}{status:5}{times:7,}")
    raise SystemExit(run.returncode)


if __name__ == "__main__":
    main()
