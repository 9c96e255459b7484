"""Assembles the Litestar app of an API process from its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from litestar import Litestar
from litestar.types import ASGIApp, ControllerRouterHandler
from msgspec import Struct

from order_service.api.docs_pages import docs_handlers, openapi_config
from order_service.api.documented_access import DocumentedAccess
from order_service.api.encoded_slashes import encoded_slashes_kept
from order_service.api.head_requests import head_as_get, methods_told
from order_service.api.problem_details import Problems, refusals_told
from order_service.api.request_limits import RequestLimits
from order_service.api.secure_headers import secured
from order_service.configuration.rate_settings import Rates
from order_service.monitoring.health import Health, health_router
from order_service.monitoring.metrics import Metrics, metrics_router
from order_service.security.access import Access
from order_service.security.door import Door, refusal_of
from order_service.security.principal import principal_of
from order_service.security.problems import PROBLEMS as ACCESS_PROBLEMS
from order_service.security.rate_limits import Rate, RateLimits
from order_service.tracing.request_traces import traced
from orders.api.problems import DETAILS
from orders.bounds import MAX_BODY_BYTES

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


class ApiParts(Struct, frozen=True):
    """What an API process is made of; `lifespan` starts and stops what the handlers use, `position` is the highest
    position of the log that this process knows; `door` stands before everything, `access` before every route, and None
    lets everybody in; `around` stands around all of them."""

    handlers: Sequence[ControllerRouterHandler]
    problem_tables: Sequence[Mapping[type[Exception], tuple[int, str]]]
    health: Health
    metrics: Metrics
    lifespan: Lifespan
    position: Callable[[], int] = lambda: 0
    rates: Rates = Rates()
    door: Door | None = None
    access: Access | None = None
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app


def create_app(parts: ApiParts) -> Litestar:
    handlers: list[ControllerRouterHandler] = [
        *parts.handlers,
        health_router(parts.health),
        metrics_router(parts.metrics),
        *docs_handlers(version("order-service")),
    ]
    required = parts.access is not None and parts.access.required
    problems = Problems(
        *parts.problem_tables,
        ACCESS_PROBLEMS,
        details=DETAILS,
        position=parts.position,
        tells_position=lambda scope: refusal_of(scope) is None and not (required and principal_of(scope) is None),
    )
    exception_handlers: dict[Any, Any] = problems.handlers()
    access = DocumentedAccess()
    orders, reads = _rate("orders", parts.rates.orders_per_s), _rate("reads", parts.rates.reads_per_s)
    app = Litestar(
        route_handlers=handlers,
        exception_handlers=exception_handlers,
        middleware=[
            *([] if parts.access is None else [parts.access.middleware(reads)]),
            *([] if orders is None and reads is None else [lambda app: RateLimits(app, orders, reads)]),
            RequestLimits,
        ],
        request_max_body_size=MAX_BODY_BYTES,
        lifespan=[parts.lifespan],
        openapi_config=openapi_config(version("order-service"), access),
        logging_config=None,
        debug=False,
    )
    access.learn(app, required=required)
    told = refusals_told(methods_told(app.asgi_handler), problems)
    measured = parts.metrics.middleware(parts.around(traced(told)))
    answered = secured(encoded_slashes_kept(head_as_get(measured)))
    app.asgi_handler = answered if parts.door is None else parts.door.around(answered)
    return app


def _rate(name: str, per_s: float | None) -> Rate | None:
    """One count for all routes."""
    return None if per_s is None else Rate(name, per_s)
