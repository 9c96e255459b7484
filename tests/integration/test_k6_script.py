"""The k6 script reads the same file as `make load` and asks for the same load. k6 itself is not here: Node.js carries
the script out on stand-ins for k6's modules, and the TypeScript compiler holds it to k6's types (make check-k6)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from load.run import users
from load.scenarios import FILE, Scenario, read_scenarios
from orders.api.order_fields import read_placing
from orders.domain.instruments import BUILT_IN
from orders.domain.terms import Rules, refused_terms
from orders.domain.values import Capabilities
from tests.tidy.tree import ROOT

NODE = (str(ROOT / "requirements/node/install"), "node")
STAND_INS = ROOT / "tests/support/k6_stand_ins"
TURNS = 600
SCRIPT = (ROOT / "load/orders.k6.js").read_text(encoding="utf-8")
PLANS = "\nconst read = %s;\nconsole.log(JSON.stringify(Object.values(read).map((one) => planOf(one))));\n"


@pytest.fixture(scope="module")
def plans() -> dict[str, Any]:
    """By scenario."""
    scenarios = json.loads(FILE.read_text())["scenarios"]
    source = (ROOT / "load/k6_plan.js").read_text(encoding="utf-8") + PLANS % json.dumps(scenarios)
    told = subprocess.run(
        [*NODE, "--input-type=module"], input=source, capture_output=True, text=True, timeout=100, check=True
    )
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


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script does in a user's turns of the scenario `exchange-down`, told by play.mjs."""
    folder: Path = tmp_path_factory.mktemp("k6")
    shutil.copytree(STAND_INS, folder / "node_modules/k6")
    for path in (ROOT / "load/orders.k6.js", ROOT / "load/k6_plan.js", FILE, STAND_INS / "play.mjs"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    settings = {"SCENARIO": "exchange-down", "BASE_URL": "http://127.0.0.1:1/", "ORDERS_API_KEY": "k", "RUN": "run"}
    command = [*NODE, "play.mjs", str(TURNS)]
    told = subprocess.run(
        command, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60, check=True
    )
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def test_the_service_takes_every_order_that_the_script_places(played: dict[str, Any]) -> None:
    rules = Rules(venue=Capabilities(cancels=True, replaces=True), catalogue=BUILT_IN)
    bodies = [one["body"] for one in played["asked"] if one["method"] == "POST"]
    for body in bodies:
        assert not refused_terms(read_placing(json.dumps(body).encode(), None, rules, None).terms, rules)
    assert len({body["client_order_id"] for body in bodies}) == len(bodies) > TURNS / 2
    assert {body["symbol"] for body in bodies} == {"EURUSD"}
    assert {"limit_price" in body for body in bodies} == {True, False}


def test_the_script_does_what_the_mix_says_with_its_own_orders(played: dict[str, Any]) -> None:
    done = Counter(one["tags"]["op"] for one in played["asked"])
    mix = read_scenarios()["exchange-down"].mix
    assert set(done) == set(mix)
    assert done["place"] / TURNS == pytest.approx(mix["place"] / sum(mix.values()), abs=0.1)
    assert played["checks"] == {"passed": TURNS, "failed": 0}
    gone: set[str] = set()
    for one in played["asked"]:
        assert one["headers"]["Authorization"] == "Bearer k"
        if one["method"] in ("PUT", "DELETE"):
            assert one["path"] not in gone
        if one["method"] == "DELETE" or (one["method"] == "PUT" and one["path"].endswith("order-0")):
            gone.add(one["path"])
    assert len(played["metrics"]["from_intended"]) == len(played["metrics"]["unexpected"]) == TURNS


def test_the_scripts_socket_counts_messages_and_positions_that_go_back(played: dict[str, Any]) -> None:
    assert [socket["url"] for socket in played["opened"]] == ["ws://127.0.0.1:1/ws"]
    metrics = played["metrics"]
    assert (len(metrics["feed_messages"]), len(metrics["feed_repeats"])) == (3, 1)
    assert all(19 <= one["value"] < 10_000 for one in metrics["feed_delay"])


def test_the_script_says_what_a_phase_is_and_ends_with_a_table_and_json(played: dict[str, Any]) -> None:
    assert played["said"] == ["exchange up: 20 s, 100 requests/s"]
    assert "MISSED from_intended{op:place}: p(99)<=1" in played["summary"]["stdout"]
    assert json.loads(played["summary"]["k6-exchange-down.json"])["metrics"]
