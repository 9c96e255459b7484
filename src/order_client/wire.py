"""What both clients share at the network: httpx's and websockets' words, turned into those of the core."""

from __future__ import annotations

from collections.abc import Mapping
from ssl import SSLContext
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from order_client.answers import Answer
from order_client.bounds import CLOSE_TIMEOUT_S, MAX_CONNECTIONS, MAX_FRAME_BYTES, MAX_FRAMES_AHEAD, OPEN_TIMEOUT_S
from order_client.conversation import Send, Unanswered
from order_client.following import Ended, NotConnected

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_LOST = 1006  # no close frame came (RFC 6455, 7.1.5)

CONNECT_ERRORS = (OSError, WebSocketException)
"""What opening a WebSocket may raise; a timeout is an OSError."""


def shown_headers(headers: Mapping[str, str] | None, api_key: str | None) -> dict[str, str]:
    """Those that go with every request."""
    return {**({"Authorization": f"Bearer {api_key}"} if api_key else {}), **(headers or {})}


def http_options(headers: Mapping[str, str] | None, tls: SSLContext | None = None) -> dict[str, Any]:
    """Proxies of the environment are left alone: the service is named by its address."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
    options: dict[str, Any] = {"headers": dict(headers or {}), "trust_env": False, "follow_redirects": False}
    return {**options, "limits": limits, "verify": tls or True}


def socket_options(headers: Mapping[str, str] | None, tls: SSLContext | None = None) -> dict[str, Any]:
    """Pings are off: their answers stand in line behind frames that a slow reader has not taken, and would time out.
    The service's heartbeats tell a dead connection instead. Frames are not compressed: on most networks that costs
    more than it saves."""
    return {
        "additional_headers": dict(headers or {}),
        "ssl": tls,
        "open_timeout": OPEN_TIMEOUT_S,
        "close_timeout": CLOSE_TIMEOUT_S,
        "ping_interval": None,
        "max_size": MAX_FRAME_BYTES,
        "max_queue": MAX_FRAMES_AHEAD,
        "compression": None,
        "proxy": None,
    }


def request_options(send: Send) -> dict[str, Any]:
    request = send.request
    return {
        "method": request.method,
        "url": send.url + request.target,
        "content": request.body or None,
        "headers": {"Content-Type": "application/json"} if request.body else {},
        "timeout": send.timeout_s,
    }


def answer_of(response: httpx.Response) -> Answer:
    next_page = response.links.get("next", {}).get("url")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, response.content, next_page)


def unanswered(error: httpx.RequestError) -> Unanswered:
    return Unanswered(_words(error), sent=not isinstance(error, _NOT_SENT))


def not_connected(error: OSError | WebSocketException) -> NotConnected:
    if not isinstance(error, InvalidStatus):
        return NotConnected(_words(error))
    response = error.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return NotConnected(_words(error), Answer(response.status_code, headers, bytes(response.body or b"")))


def ended(closed: ConnectionClosed) -> Ended:
    return (
        Ended(_LOST, "the connection was lost") if closed.rcvd is None else Ended(closed.rcvd.code, closed.rcvd.reason)
    )


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
