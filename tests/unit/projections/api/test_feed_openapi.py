"""The OpenAPI document shows the feed as server-sent events."""

from typing import Any

import msgspec
import pytest
from litestar import Litestar

from orders.domain.instruments import BUILT_IN
from projections.api.feed_events import events_router
from tests.support.feed_sockets import Studio


class Problem(msgspec.Struct):
    detail: str


@pytest.mark.anyio
async def test_the_stream_shows_its_parameters_and_refusals(studio: Studio) -> None:
    app = Litestar([events_router(studio.hub, studio.reader, BUILT_IN, problem=Problem)])
    operation: dict[str, Any] = app.openapi_schema.to_schema()["paths"]["/events"]["get"]
    shown = {(one["in"], one["name"]) for one in operation["parameters"]}
    query = ("after", "channels", "symbol", "order_id", "detail", "batch")
    assert shown == {("header", "Last-Event-ID"), *(("query", name) for name in query)}
    assert set(operation["responses"]) == {"200", "422", "503"}
    assert list(operation["responses"]["200"]["content"]) == ["text/event-stream"]
