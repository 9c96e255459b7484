"""Assembles the Litestar app of an API process from its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from litestar import Litestar
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from order_service.docs_pages import assets, openapi_config
from order_service.health import Health, health_router
from order_service.metrics import Metrics, metrics_router
from order_service.problem_details import problem_handlers
from orders.api.documentation import body_schemas

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class ApiParts(Struct, frozen=True):
    """What an API process is made of; `lifespan` starts and stops what the handlers use."""

    handlers: Sequence[ControllerRouterHandler]
    problem_tables: Sequence[Mapping[type[Exception], tuple[int, str]]]
    health: Health
    metrics: Metrics
    lifespan: Lifespan


def create_app(parts: ApiParts) -> Litestar:
    handlers: list[ControllerRouterHandler] = [
        *parts.handlers,
        health_router(parts.health),
        metrics_router(parts.metrics),
        assets(),
    ]
    exception_handlers: dict[Any, Any] = problem_handlers(*parts.problem_tables)
    return Litestar(
        route_handlers=handlers,
        exception_handlers=exception_handlers,
        lifespan=[parts.lifespan],
        openapi_config=openapi_config(version("order-service"), body_schemas()),
        middleware=[parts.metrics.middleware],
        logging_config=None,
        debug=False,
    )
