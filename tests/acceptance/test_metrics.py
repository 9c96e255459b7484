"""/metrics of a running service, all of its parts included, is what the reference says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from tests.support.documented_metrics import documented
from tests.support.running_service import ServiceAtUrl, service_to_ask
from tests.support.waiting import wait_until

_OF_HISTOGRAMS = {"le"}


@pytest.fixture(scope="module")
def service(pytestconfig: pytest.Config) -> Iterator[ServiceAtUrl]:
    with service_to_ask(pytestconfig) as running:
        yield running


def families(service: ServiceAtUrl) -> dict[str, Family]:
    """By the name that rules use: a counter's with its _total."""
    found = text_string_to_metric_families(service.http.get("/metrics").text)
    return {f"{one.name}_total" if one.type == "counter" else one.name: one for one in found}


def value(shown: dict[str, Family], name: str, **labels: str) -> float:
    """The sum; 0 where there is none yet."""
    samples = [sample for family in shown.values() for sample in family.samples]
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other(service: ServiceAtUrl) -> None:
    service.place()
    wait_until(lambda: value(families(service), "orders_adapter_call_seconds_count") > 0, what="the adapter's figures")
    shown, known = families(service), documented()
    assert shown.keys() == known.keys()
    assert {name: family.type for name, family in shown.items()} == {name: one.type for name, one in known.items()}
    for name, family in shown.items():
        for sample in family.samples:
            assert sample.labels.keys() - _OF_HISTOGRAMS == known[name].labels, name


def test_an_order_is_told_from_its_acceptance_to_its_end(service: ServiceAtUrl) -> None:
    def told() -> list[float]:
        shown = families(service)
        stages = [value(shown, "orders_life_total", stage=stage) for stage in ("accepted", "placed", "executed")]
        return [*stages, value(shown, "orders_time_to_fill_seconds_count")]

    before = told()
    service.wait_for(service.place()["id"], status="Executed")
    wait_until(
        lambda: all(now > then for now, then in zip(told(), before, strict=True)), what="the order in every stage"
    )


def test_every_follower_of_the_log_is_told_and_keeps_up(service: ServiceAtUrl) -> None:
    followers = {one.labels["follower"] for one in families(service)["orders_follower_lag_seconds"].samples}
    assert {"order_status", "trades", "exchange_adapter_duties", "hash_chain"} <= followers
    lags = ("orders_follower_lag_events", "orders_follower_lag_seconds")

    def at_the_end() -> bool:
        shown = families(service)
        return all(shown[name].samples and value(shown, name) == 0 for name in lags)

    wait_until(at_the_end, what="followers at the end of the log")


def test_a_service_whose_parts_all_run_is_not_degraded(service: ServiceAtUrl) -> None:
    wait_until(
        lambda: service.http.get("/health/ready").json() == {"status": "ready", "reasons": [], "degraded": []},
        what="a service that is as it should be",
    )
