"""What operators see of workers and alerts, and what the document and /metrics say."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from exchange_adapter.adapter_tables import AdapterTables
from exchange_adapter.alerts import AlertKind
from exchange_adapter.figures import Figures
from orders.distribution import Observed
from orders.domain.values import Capabilities
from tests.support.operations_service import OperationsService, operations_service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[OperationsService]:
    async with operations_service(database_url, Capabilities()) as service:
        yield service


async def test_workers_are_shown_with_their_age_and_figures(service: OperationsService) -> None:
    service.lives("w-1", figures='{"calls_running": 3}')
    service.lives("w-2", silent_s=60)
    workers = {one["worker"]: one for one in await service.get("/ops/workers")}
    assert (workers["w-1"]["alive"], workers["w-1"]["figures"]) == (True, {"calls_running": 3})
    assert (workers["w-1"]["shards"], workers["w-1"]["started_at"][-1]) == ([1, 2], "Z")
    assert (workers["w-2"]["alive"], round(workers["w-2"]["age_s"])) == (False, 60)


async def test_alerts_are_shown_by_kind_with_the_oldest_as_examples(service: OperationsService) -> None:
    with psycopg.connect(service.url) as connection:
        connection.execute(
            "insert into adapter_alerts (kind, key, opened_at, last_at, times, detail)"
            " select 'order_held', n::text, now() + n * interval '1 s', now() + n * interval '1 s', 2, 'in doubt'"
            " from generate_series(1, 25) n"
        )
        connection.execute("insert into adapter_alerts values ('late_fill', 'x', now(), now(), 1, 7, null, 'd')")
    late, held = await service.get("/ops/alerts")
    assert (late["kind"], late["alerts"], [one["key"] for one in late["examples"]]) == ("late_fill", 1, ["x"])
    assert (held["kind"], held["alerts"], held["times"]) == ("order_held", 25, 50)
    assert [one["key"] for one in held["examples"]] == [str(n) for n in range(1, 21)]
    assert held["since"] == held["examples"][0]["opened_at"]
    assert held["last_at"] > held["examples"][-1]["last_at"]


async def test_the_document_shows_the_routes_with_their_bodies_and_problems(service: OperationsService) -> None:
    paths = service.app.openapi_schema.to_schema()["paths"]
    shown = {path for path in paths if path.startswith("/ops/")}
    one = {f"/ops/parked/{{order_id}}/{action}" for action in ("retry", "resolve")}
    lists = {"/ops/parked", "/ops/workers", "/ops/alerts"}
    assert shown == {"/ops/parked/retry", "/ops/parked/resolve", *one, *lists}
    resolve = paths["/ops/parked/resolve"]["post"]
    body = resolve["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == {"outcome", "reason"}
    assert {"409", "422", "503"} <= set(resolve["responses"])
    assert all(operation["tags"] == ["operations"] for path in shown for operation in paths[path].values())


async def test_the_figures_of_metrics_are_sums_over_the_workers_that_live(service: OperationsService) -> None:
    service.in_doubt(2)
    service.lives("w-1", figures='{"calls_running": 3, "calls_hanging": 1, "breaker_open_s": 0.5}')
    service.lives("w-2", figures='{"calls_running": 4, "calls_hanging": 0, "breaker_open_s": null}')
    service.lives("gone", silent_s=60, figures='{"calls_running": 9, "calls_hanging": 9, "breaker_open_s": 9}')
    tables = AdapterTables(service.url)
    figures = await tables.figures()
    tables.close()
    assert (figures.workers, figures.calls_running, figures.calls_hanging, figures.breakers_open) == (2, 7, 1, 1)
    assert figures.duties == {"queued": 0, "sending": 0, "acked": 0, "in_doubt": 2, "parked": 0}


async def test_an_adapter_of_another_release_hides_no_figures_of_the_others(service: OperationsService) -> None:
    service.lives("now", figures='{"calls_running": 3, "messages": {"queues": 64, "in_hand": 1, "hints": 9}}')
    service.lives("then", figures='{"calls_running": 4, "messages": {"consumed": 5}, "call_seconds": {"counts": "x"}}')
    tables = AdapterTables(service.url)
    figures = await tables.figures()
    tables.close()
    assert (figures.workers, figures.calls_running, figures.queues_consumed) == (2, 7, 64)
    assert (figures.hints, figures.undecodable, figures.call_seconds["then"]) == ({"now": 9}, {}, Observed())


async def test_a_kind_without_open_alerts_counts_0_so_that_a_rule_sees_it_clear(service: OperationsService) -> None:
    with psycopg.connect(service.url) as connection:
        connection.execute("insert into adapter_alerts values ('late_fill', 'x', now(), now(), 1, 7, null, 'd')")
    tables = AdapterTables(service.url)
    figures = await tables.figures()
    tables.close()
    assert figures.alerts == {**dict.fromkeys(AlertKind, 0), "late_fill": 1}


async def test_the_figures_that_an_adapter_tells_have_the_names_that_metrics_read() -> None:
    assert {"calls_running", "calls_hanging", "breaker_open_s"} <= set(Figures.__struct_fields__)
