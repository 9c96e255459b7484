"""The file of scenarios: what is in it, and that a wrong one is named before anything is sent."""

import json
from pathlib import Path
from typing import Any

import pytest

from load.scenarios import FILE, OPERATIONS, BadScenario, read_scenarios, scenario_named, shortened


def written(folder: Path, **changes: Any) -> Path:
    """A file with the default scenario alone, changed."""
    default = json.loads(FILE.read_text())["scenarios"]["default"]
    path = folder / "scenarios.json"
    path.write_text(json.dumps({"scenarios": {"default": {**default, **changes}}}))
    return path


def test_the_default_is_a_hundred_users_who_place_eurusd_orders_for_a_minute() -> None:
    scenario = scenario_named("default")
    assert (scenario.model, scenario.users, scenario.seconds) == ("users", 100, 60)
    assert scenario.orders.symbols == ["EURUSD"]


def test_there_are_a_steady_load_a_spike_and_an_exchange_that_is_down_for_a_while() -> None:
    scenarios = read_scenarios()
    assert list(scenarios) == ["default", "steady", "spike", "exchange-down"]
    assert [name for name, one in scenarios.items() if one.breaks_exchange] == ["exchange-down"]
    rates = [phase.per_second for phase in scenarios["spike"].phases]
    assert max(rates) >= 10 * min(rates)


@pytest.mark.parametrize("name", list(read_scenarios()))
def test_every_scenario_does_all_that_a_client_can_do_and_has_a_bound_for_each(name: str) -> None:
    scenario = scenario_named(name)
    assert set(scenario.mix) == set(scenario.thresholds.p99_ms) == set(OPERATIONS)
    assert all(phase.faults is None or phase.faults.outage_s == phase.seconds for phase in scenario.phases)


def test_a_shorter_run_has_the_same_phases_and_rates() -> None:
    short = shortened(scenario_named("exchange-down"), 8)
    assert [phase.seconds for phase in short.phases] == pytest.approx([2, 2, 4])
    assert short.phases[1].faults is not None
    assert short.phases[1].faults.outage_s == pytest.approx(2)
    assert short.requests == 800


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"uzers": 3}, "unknown field `uzers`"),
        ({"users": 0}, r"Expected `int` >= 1 - at `\$.scenarios\[...\].users`"),
        ({"model": "magic"}, "Invalid enum value 'magic'"),
        ({"mix": {"get": 1}}, "default: the mix places no order"),
        ({"phases": []}, "length >= 1"),
        ({"phases": [{"name": "a", "seconds": 1, "per_second": 1, "faults": {"error_rate": 2}}]}, "error_rate"),
    ],
)
def test_a_wrong_scenario_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadScenario, match=words):
        read_scenarios(written(tmp_path, **changes))


def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(BadScenario, match=r"no scenario 'fast'.*default, steady, spike, exchange-down"):
        scenario_named("fast")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadScenario, match="cannot be read"):
        read_scenarios(tmp_path / "none.json")
