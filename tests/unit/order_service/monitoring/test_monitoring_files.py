"""Dashboard, alert rules and their documents agree: every metric and label that is used is documented, every alert can
be looked up. That the documented metrics are those of a running service is in tests/acceptance/test_metrics.py."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from prometheus_client.utils import floatToGoString

from exchange_adapter.alerts import AlertKind
from exchange_adapter.figures import Attempts
from order_service.bounds import PLACE_SECONDS
from order_service.monitoring.order_life import STAGES
from orders.domain.values import Delivery
from tests.support.documented_metrics import documented, sample_names
from tests.tidy.tree import ROOT

RULES = ROOT / "deploy/prometheus/rules.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/orders.json"
GUIDE = ROOT / "docs/how-to/monitor.md"
ROUTES = ROOT / "docs/reference/openapi.json"

CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
VALUES: dict[str, set[str]] = {
    "stage": set(STAGES),
    "delivery": {*Delivery},
    "kind": {*AlertKind},
    "outcome": set(Attempts.__struct_fields__),
    "job": {"orders"},
}
BOUNDS = {"orders_time_to_place_seconds_bucket": PLACE_SECONDS}

_STRING = re.compile(r'"[^"]*"')
_SELECTOR = re.compile(r"([a-z_][a-z0-9_]*)\s*\{([^}]*)\}")
_GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")
_WORD = re.compile(r"\b[a-z_][a-z0-9_]*\b")
_LANGUAGE = {
    *("sum", "max", "min", "rate", "increase", "changes", "histogram_quantile", "absent", "by", "without"),
    *("and", "or", "unless"),
}
_EVERYWHERE = {"job", "instance", "le"}
"""Labels that Prometheus itself adds, or that every histogram has."""


@cache
def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


@cache
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


@cache
def operations() -> list[tuple[str, str]]:
    """Method and route of each that the API has."""
    paths = json.loads(ROUTES.read_text(encoding="utf-8"))["paths"]
    return [(method.upper(), path) for path, item in paths.items() for method in item if method != "parameters"]


def expression_of(alert: str) -> str:
    [found] = [rule["expr"] for rule in alerts() if rule["alert"] == alert]
    return str(found)


def operations_in(expression: str) -> list[tuple[str, str]]:
    """The operations that the first selector of an expression takes; Prometheus' patterns match whole values."""
    patterns = dict(re.findall(r'(method|route)\s*=~?\s*"([^"]*)"', _SELECTOR.findall(expression)[0][1]))
    return [
        (method, route)
        for method, route in operations()
        if re.fullmatch(patterns["method"], method) and re.fullmatch(patterns["route"], route)
    ]


def expressions() -> Iterator[tuple[str, str]]:
    """Where it is, and the PromQL."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in dashboard()["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], annotation["expr"]


def used(expression: str) -> dict[str, set[str]]:
    """The metrics of an expression, and the labels that it asks each for."""
    grouped = {label for group in _GROUPING.findall(expression) for label in _WORD.findall(group)}
    bare = _GROUPING.sub(" ", expression)
    selected = {name: set(re.findall(r"([a-z_]+)\s*[=!]", labels)) for name, labels in _SELECTOR.findall(bare)}
    without = re.sub(r"\[[^\]]*\]", " ", _SELECTOR.sub(r" \1 ", _STRING.sub('""', bare)))
    metrics = {word for word in _WORD.findall(without) if word not in _LANGUAGE}
    return {name: selected.get(name, set()) | grouped for name in metrics}


@pytest.mark.parametrize(("where", "expression"), [*expressions()])
def test_every_metric_and_label_that_is_used_is_documented(where: str, expression: str) -> None:
    known = {sample: metric for metric in documented().values() for sample in sample_names(metric)}
    assert used(expression), f"{where}: {expression}"
    asked = {name: labels for name, labels in used(expression).items() if name != "up"}
    unknown = asked.keys() - known.keys()
    assert not unknown, f"{where} asks for {unknown}"
    for name, labels in asked.items():
        assert labels - _EVERYWHERE <= known[name].labels, f"{where} asks {name} for {labels}"


@pytest.mark.parametrize(("where", "expression"), [*expressions()])
def test_every_value_that_a_label_is_asked_for_exists(where: str, expression: str) -> None:
    """A misspelt kind would never fire."""
    for name, labels in _SELECTOR.findall(expression):
        known = {**VALUES, "le": {floatToGoString(bound) for bound in BOUNDS.get(name, ())}}
        known["method"], known["route"] = map(set, zip(*operations(), strict=True))
        for label, values in re.findall(r'([a-z_]+)\s*=~?\s*"([^"]*)"', labels):
            for value in values.split("|") if label in known else ():
                assert any(re.fullmatch(value, one) for one in known[label]), f"{where}: {name} of {label} {value}"


def test_every_request_that_places_or_changes_orders_is_watched_for_faults_and_no_other() -> None:
    changing = [(method, path) for method, path in operations() if method in CHANGING and path.startswith("/order")]
    assert ("POST", "/orders/batch") in changing
    assert ("DELETE", "/orders/{order_id}") in changing
    assert operations_in(expression_of("OrdersNotAccepted")) == changing


def test_every_request_that_places_orders_is_watched_for_how_long_it_takes_and_for_its_objective() -> None:
    placing = [(method, path) for method, path in operations() if method == "POST" and path.startswith("/order")]
    [objective] = [
        panel["targets"][0]["expr"] for panel in dashboard()["panels"] if panel["title"] == "Accepted without a fault"
    ]
    good, of_all = objective.split(" / ")
    slowly = expression_of("OrdersAcceptedSlowly")
    assert operations_in(slowly) == operations_in(good) == operations_in(of_all) == placing


def test_each_api_process_that_is_away_is_told_while_the_others_serve() -> None:
    """OrdersApiDown is silent as long as one of them answers."""
    assert expression_of("OrdersApiProcessDown") == 'min by (instance) (up{job="orders"}) == 0'


@pytest.mark.parametrize(("where", "expression"), [*expressions()])
def test_every_expression_is_closed_and_gives_rates_a_window(where: str, expression: str) -> None:
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing), where
    windows = re.findall(r"\b(?:rate|increase|changes)\(", expression)
    assert len(windows) == len(re.findall(r"\[(?:\d+[smhd]|\$__rate_interval)\]", expression)), where


@pytest.mark.parametrize(("where", "expression"), [*expressions()])
def test_figures_of_the_whole_are_never_added_up_over_api_processes(where: str, expression: str) -> None:
    """Each API process shows them: behind two of them a sum would be twice as much."""
    metrics = {sample: metric for metric in documented().values() for sample in sample_names(metric)}
    shared = {name for name in used(expression) if name in metrics and metrics[name].of != "process"}
    for name in shared:
        added = re.search(r"sum(?: by \([^)]*\))? ?\((?:rate|increase)?\(?\s*" + name, expression)
        assert added is None, f"{where} adds up {name}"


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_long_how_bad_what_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+[sm]", rule["for"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert ROOT / page == GUIDE
    assert anchor == rule["alert"].lower(), "a heading's anchor on GitHub"


def test_every_alert_has_its_section_with_meaning_look_and_do() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(sections) == [rule["alert"] for rule in alerts()]
    for name, section in sections.items():
        for part in ("**Means**", "**Look**", "**Do**"):
            assert section.count(part) == 1, f"{name}: {part}"


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_panel_says_what_it_shows() -> None:
    for panel in dashboard()["panels"]:
        assert panel["type"] == "row" or panel["description"], panel["title"]
