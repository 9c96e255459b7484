"""What the durable POST is measured against: a bare Litestar route that answers with the struct it was sent."""

from __future__ import annotations

from litestar import Litestar, post

from orders.api.order_fields import PlaceBody


@post("/orders")
async def echo(data: PlaceBody) -> PlaceBody:
    return data


def create() -> Litestar:
    return Litestar([echo], openapi_config=None, logging_config=None, debug=False)
