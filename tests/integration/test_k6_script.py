"""The k6 script reads the same file as `make load` and asks for the same load. k6 itself is not here: Node.js says what
the script's plan is, and the TypeScript compiler checks the rest (make check-k6)."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from load.run import users
from load.scenarios import FILE, Scenario, read_scenarios
from tests.tidy.tree import ROOT

SCRIPT = (ROOT / "load/orders.k6.js").read_text(encoding="utf-8")
PLANS = "\nconst read = %s;\nconsole.log(JSON.stringify(Object.values(read).map((one) => planOf(one))));\n"


@pytest.fixture(scope="module")
def plans() -> dict[str, Any]:
    """By scenario."""
    scenarios = json.loads(FILE.read_text())["scenarios"]
    source = (ROOT / "load/k6_plan.js").read_text(encoding="utf-8") + PLANS % json.dumps(scenarios)
    command = [str(ROOT / "requirements/node/install"), "node", "--input-type=module"]
    told = subprocess.run(command, input=source, capture_output=True, text=True, timeout=100, check=True)
    return dict(zip(scenarios, json.loads(told.stdout), strict=True))


def requests(scenario: Scenario, load: dict[str, Any]) -> float:
    """That a phase of k6 asks for; users pace themselves, by the phase's rate."""
    seconds = float(load["duration"].removesuffix("s"))
    if load["executor"] == "constant-arrival-rate":
        assert (load["timeUnit"], load["preAllocatedVUs"]) == ("1m", scenario.users)
        return float(load["rate"]) * seconds / 60
    assert (load["executor"], load["vus"]) == ("constant-vus", scenario.users)
    return scenario.phases[int(load["env"]["PHASE"])].per_second * seconds


@pytest.mark.parametrize("name", list(read_scenarios()))
def test_k6_is_asked_for_the_same_load_in_the_same_phases(plans: dict[str, Any], name: str) -> None:
    scenario, planned = read_scenarios()[name], plans[name]["scenarios"]
    loads = [planned[f"phase_{number}"] for number in range(len(scenario.phases))]
    assert sum(requests(scenario, load) for load in loads) == pytest.approx(scenario.requests)
    starts = [float(load["startTime"].removesuffix("s")) for load in loads]
    assert starts == [sum(phase.seconds for phase in scenario.phases[:number]) for number in range(len(loads))]
    assert planned["sockets"]["vus"] == scenario.sockets


@pytest.mark.parametrize("name", list(read_scenarios()))
def test_k6_judges_by_the_same_thresholds(plans: dict[str, Any], name: str) -> None:
    bounds, thresholds = read_scenarios()[name].thresholds, plans[name]["thresholds"]
    latencies = {f"from_intended{{op:{one}}}": [f"p(99)<={most:g}"] for one, most in bounds.p99_ms.items()}
    assert {key: value for key, value in thresholds.items() if key.startswith("from_intended")} == latencies
    assert thresholds["unexpected"] == [f"rate<={bounds.failed_share:g}"]
    assert thresholds["feed_delay"] == [f"p(99)<={bounds.feed_p99_ms:g}"]


def test_both_expect_the_same_answers_and_remember_as_many_orders() -> None:
    block = re.search(r"const EXPECTED = \{(.*?)\};", SCRIPT, re.DOTALL)
    assert block is not None
    expected = {name: set(json.loads(found)) for name, found in re.findall(r"(\w+): (\[[\d, ]+\])", block[1])}
    assert expected == users.EXPECTED
    assert f"const KEPT_ORDERS = {users.KEPT_ORDERS};" in SCRIPT
    assert f"const LIST_LIMIT = {users.LIST_LIMIT};" in SCRIPT
