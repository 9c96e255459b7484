"""Runs one part in this process, until SIGTERM or SIGINT."""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

from order_service.bounds import (
    API_ALONE_STOP_S,
    API_LIVE_POLL_S,
    API_STOP_S,
    GC_EVERY_OBJECTS,
    KEEP_ALIVE_MS,
    MAX_BACKLOG,
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
)
from order_service.configuration.settings import Address, Settings
from order_service.database import database_that_answers
from order_service.errors import PartFailed, SettingsError, WrongSetting
from order_service.processes.listening import ip_address_of, require_free
from order_service.processes.supervisor import say_ready, seconds_to_stop
from order_service.tracing.telemetry import spans_of


def run_api(settings: Settings) -> None:
    """Raises: AddressInUse, SettingsError, UnreachableError."""
    from order_service.exchange import capabilities

    require_free(settings.listen)
    database_that_answers(settings)
    capabilities(settings)
    tls = settings.access.tls
    threading.Thread(target=_say_ready_once_live, args=(settings.listen, tls is not None), daemon=True).start()
    stop_s = API_ALONE_STOP_S if seconds_to_stop() is None else API_STOP_S
    serve_http("order_service.processes.api_worker:create", settings.listen, stop_s=stop_s, tls=tls)


def serve_http(
    factory: str, listen: Address, *, stop_s: int = API_STOP_S, tls: tuple[Path, Path] | None = None
) -> None:
    """Serves the app that `factory` (module:function) makes. `make bench` gives its bare echo the same server.

    `stop_s` is what requests in flight have after SIGTERM; `tls` are the files of a certificate and its key."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings

    certificate, key = tls or (None, None)
    server = Granian(
        factory,
        factory=True,
        address=ip_address_of(listen),
        port=listen.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=True,
        http1_settings=HTTP1Settings(header_read_timeout=KEEP_ALIVE_MS, max_buffer_size=MAX_HEAD_BYTES),
        backlog=MAX_BACKLOG,
        backpressure=MAX_CONNECTIONS,
        ssl_cert=certificate,
        ssl_key=key,
        log_enabled=False,
        workers_kill_timeout=stop_s,
    )
    server.serve()


def run_projector(settings: Settings) -> None:
    """Raises: SettingsError, UnreachableError."""
    from orders.eventstore.postgres import PostgresEventStore
    from projections.projector import run_projector as run

    where = database_that_answers(settings)
    collect_rarely()
    spans = spans_of("projector")
    traced: dict[str, Any] = {} if spans is None else {"around": spans.around_batches}
    store = PostgresEventStore(where.url, direct_url=where.direct_url, application_name="orders projector")
    try:
        run(store, where.direct_url, _stop_on_signals(), say_ready, **traced)
    finally:
        store.close()
        if spans is not None:
            spans.close()


def collect_rarely() -> None:
    """For a process that reads the whole log: it makes objects by the hundred thousand, and hardly a cycle. Looking for
    cycles as often as Python does by itself takes a third of its CPU."""
    gc.set_threshold(GC_EVERY_OBJECTS, *gc.get_threshold()[1:])


def run_adapter(settings: Settings) -> None:
    """Raises: SettingsError, UnreachableError. Exits with the adapter's own code: it may want to be started afresh."""
    from uuid_utils.compat import uuid7

    from exchange_adapter.adapter import run_adapter
    from exchange_adapter.bounds import END_S, STOP_WAIT_S
    from exchange_adapter.config import AdapterConfig
    from exchange_adapter.loading import load_venue
    from exchange_adapter.policy import Limits
    from order_service.exchange import capabilities
    from orders.eventstore.postgres import PostgresEventStore
    from orders.eventstore.subscription import PostgresHints

    where = database_that_answers(settings)
    capabilities(settings)
    venue = load_venue(
        settings.exchange, address=settings.exchange_address, call_timeout_s=settings.venue_call_timeout_s
    )
    stop_s = seconds_to_stop()
    config = AdapterConfig(
        database_url=where.url,
        direct_url=where.direct_url,
        amqp_url=settings.amqp_url,
        venue_name=settings.exchange,
        catalogue=settings.catalogue,
        new_id=uuid7,
        alert_webhook_url=settings.alert_webhook_url,
        limits=Limits(call_timeout_s=settings.venue_call_timeout_s, park_after_attempts=settings.park_after_attempts),
        max_calls=settings.venue_max_calls,
        calls_per_s=settings.venue_calls_per_s,
        resends_in_doubt=settings.resend_in_doubt,
        drain_s=STOP_WAIT_S if stop_s is None else min(STOP_WAIT_S, max(0.0, stop_s - END_S)),
    )
    store = PostgresEventStore(where.url, direct_url=where.direct_url, application_name="orders adapter")
    hints = PostgresHints(where.direct_url, application_name="orders adapter hints")
    spans = spans_of("adapter")
    if spans is not None:
        venue = spans.around_venue(venue, store)
    try:
        code = run_adapter(config, store=store, hints=hints, venue=venue, stop=_stop_on_signals(), ready=say_ready)
    finally:
        hints.close()
        store.close()
        if spans is not None:
            spans.close()
    sys.stdout.flush()
    os._exit(code)  # calls that hang keep their threads: nothing waits for them


def run_relay(settings: Settings) -> None:
    """Raises: SettingsError, UnreachableError."""
    from event_relay.relay import RelayConfig
    from event_relay.relay import run_relay as run
    from orders.eventstore.postgres import PostgresEventStore
    from orders.eventstore.subscription import PostgresHints

    if not settings.amqp_url:
        raise SettingsError([WrongSetting("AMQP_URL", "names no RabbitMQ: without one there is nothing to relay")])
    where = database_that_answers(settings)
    collect_rarely()
    config = RelayConfig(
        amqp_url=settings.amqp_url,
        direct_url=where.direct_url,
        catalogue=settings.catalogue,
        integration_events=settings.integration_events,
        source=settings.base_url,
    )
    store = PostgresEventStore(where.url, direct_url=where.direct_url, application_name="orders relay")
    hints = PostgresHints(where.direct_url, application_name="orders relay hints")
    try:
        run(config, store=store, hints=hints, stop=_stop_on_signals(), ready=say_ready)
    finally:
        hints.close()
        store.close()


def run_exchange(settings: Settings, **options: object) -> None:
    """Raises: PartFailed."""
    from simulated_exchange.errors import ExchangeError
    from simulated_exchange.main import run

    low, high = settings.exchange_fill_delay
    try:
        run(
            data_dir=settings.data_dir / "exchange",
            address=settings.exchange_address,
            fill_delay=f"{low:g}-{high:g}",
            ready=lambda address: say_ready(),
            **options,  # type: ignore[arg-type]
        )
    except ExchangeError as error:
        raise PartFailed(str(error)) from error


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _say_ready_once_live(listen: Address, encrypted: bool) -> None:
    """The server's worker is another process: whether it answers is seen from outside."""
    while True:
        try:
            with socket.create_connection((listen.host, listen.port), timeout=1) as plain:
                probe = _unverified(plain) if encrypted else plain
                probe.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if b" 200 " in probe.recv(64):
                    say_ready()
                    return
        except OSError:
            pass
        time.sleep(API_LIVE_POLL_S)


def _unverified(plain: socket.socket) -> ssl.SSLSocket:
    """It is our own process that answers, whatever names its certificate has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)
