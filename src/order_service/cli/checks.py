"""The checks of `orders doctor`. Each looks at one thing, changes nothing, and yields what it found."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator

import httpx
import msgspec

from order_service.bounds import DOCTOR_CHECK_S, LOW_DISK_BYTES
from order_service.cli.findings import Finding
from order_service.cli.own_access import http_options
from order_service.configuration.settings import Settings
from order_service.errors import SettingsError
from order_service.exchange import capabilities
from order_service.processes.listening import holder_of, why_taken
from orders.unreadable import UNREADABLE

_START = "start the service with `orders up`"


def check_data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        what = "may not be written" if existing.is_dir() else "is no folder"
        to_do = "give this user the right to it, or set ORDERS_DATA_DIR to another folder"
        yield Finding("data folder", "wrong", f"{existing} {what}", to_do)
        return
    free = shutil.disk_usage(existing).free
    if free < LOW_DISK_BYTES:
        found = f"{folder}: {free // 1024**2} MB free"
        yield Finding("data folder", "wrong", found, "make room: a full disk refuses every order")
        return
    state = "" if existing == folder else ", will be made at the first start"
    yield Finding("data folder", "well", f"{folder}: {free / 1024**3:.1f} GB free{state}")


def check_venue(settings: Settings) -> Iterator[Finding]:
    try:
        able = capabilities(settings)
    except SettingsError as error:
        yield Finding("exchange", "wrong", str(error), "correct EXCHANGE, and start in the folder where its module is")
        return
    if settings.simulates_exchange:
        yield _ping(settings.exchange_address)
        return
    names = [name for name in able.__struct_fields__ if getattr(able, name) is True]
    yield Finding("exchange", "well", f"{settings.exchange} loads ({', '.join(names) or 'it only places'})")


def _ping(address: str) -> Finding:
    from exchange_adapter.wire import connect

    try:
        with connect(address) as connection:
            connection.settimeout(DOCTOR_CHECK_S / 2)
            connection.sendall(b'{"op":"ping","id":1}\n')
            answer = msgspec.json.decode(_line(connection))
    except (OSError, *UNREADABLE) as error:
        found = f"no answer at {address}: {getattr(error, 'strerror', None) or error}"
        return Finding("exchange", "unreachable", found, "start `orders exchange`, or all with `orders up`")
    if not isinstance(answer, dict) or answer.get("outcome") != "pong":
        to_do = "set EXCHANGE_ADDRESS to where `orders exchange` listens"
        return Finding("exchange", "wrong", f"{address} answers, but not as the simulated exchange does", to_do)
    return Finding("exchange", "well", f"the simulated exchange answers at {address}")


def _line(connection: socket.socket) -> bytes:
    received = b""
    while b"\n" not in received and (part := connection.recv(4096)):
        received += part
        if len(received) > 4096:
            break
    return received


def check_port(settings: Settings) -> Iterator[Finding]:
    address = settings.listen
    taken = why_taken(address)
    if taken is None:
        yield Finding("port", "well", f"{address} is free: the API does not run here")
        return
    to_do = "stop it, or set BASE_URL to another port"
    if taken:
        yield Finding(
            "port", "wrong", f"cannot listen on {address}: {taken}", "set BASE_URL or LISTEN to another address"
        )
    elif (holder := holder_of(address.port)) is None:
        yield Finding("port", "well", f"{address} is in use by a process that this user cannot see")
    elif holder.ours:
        yield Finding("port", "well", f"{address} is ours (pid {holder.pid})")
    else:
        yield Finding("port", "wrong", f'{address} is in use by pid {holder.pid}, "{holder.command}"', to_do)


def check_api(settings: Settings) -> Iterator[Finding]:
    url = settings.base_url
    try:
        answer = httpx.get(f"{url}/health/ready", timeout=DOCTOR_CHECK_S / 2, **http_options(settings))
        report = answer.json()
        status, reasons, degraded = report["status"], report["reasons"], report.get("degraded", [])
    except httpx.HTTPError as error:
        yield Finding("API", "unreachable", f"no answer from {url}: {error or type(error).__name__}", _START)
    except (ValueError, TypeError, KeyError):
        yield Finding("API", "wrong", f"{url} answers, but not as this service does", "set BASE_URL to another port")
    else:
        if answer.status_code == 200:
            yield Finding("API", "well", "; but ".join([f"{url} is {status}", *degraded]))
        for reason in reasons:
            yield Finding("API", "wrong", f"{url} is {status}: {reason}")
