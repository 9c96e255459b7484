"""/metrics tells how far the hash chain reaches, and nothing where that is not known."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from order_service.hash_chain_figures import HashChainMetrics
from projections.errors import ReadsUnavailable


@pytest.mark.anyio
async def test_the_position_of_the_head_is_a_metric_while_it_is_known() -> None:
    registry, now, answers = CollectorRegistry(), 0.0, [[(7, b"")], [], ReadsUnavailable()]

    async def rows(statement: str) -> list[tuple[Any, ...]]:
        answer: Any = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    metrics = HashChainMetrics(registry, rows, clock=lambda: now)
    for expected in (7, 0, None):
        await metrics.refresh()
        assert registry.get_sample_value("orders_hash_chain_position") == expected
        now += 60
