"""What a request must be before anybody asks who makes it: from the proxy where there is one, for a host of ours, and
not sent by a page of others.

Without credentials it is the address alone that keeps strangers out, and a browser on this machine is within it. A
page could send orders from there (Origin tells), or have its own name point at this machine and read the answers (DNS
rebinding; Host tells).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from order_service.configuration.access_settings import is_loopback
from order_service.configuration.settings import Settings
from order_service.security.bounds import MAX_KNOWN_HOSTS
from order_service.security.errors import AccessError, ForeignOrigin, NotTheProxy, UndeclaredProxy, WrongHost

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"0.0.0.0", "::"})
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_ADDED_BY_PROXIES = frozenset(
    (b"forwarded", b"via", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto")
)
_PAGE_SCHEMES = {"ws": "http", "wss": "https"}
_CLIENT_ADDRESS = "orders.client_address"
_REFUSED = "orders.refused"


class DoorRules(Struct, frozen=True, kw_only=True):
    """`hosts` are names in lower case; `any_address`: every IP address is ours too; `proxies` are believed what they
    say of their clients; `proxies_only`: nobody else is served, but this machine itself; `unproxied_only`: it is served
    as long as it comes to us itself, since nobody shows a credential, and any proxy of this machine has its address."""

    hosts: frozenset[str]
    any_address: bool = False
    origins: frozenset[str] = frozenset()
    proxies: tuple[_Network, ...] = ()
    proxies_only: bool = False
    unproxied_only: bool = False


def door_rules(settings: Settings) -> DoorRules:
    base = urlsplit(settings.base_url)
    listen, access = settings.listen.host.lower(), settings.access
    proxies = (ipaddress.ip_network(settings.trusted_proxy),) if settings.trusted_proxy else ()
    return DoorRules(
        hosts=_LOOPBACK_NAMES | {base.hostname or "", listen, *access.allowed_hosts},
        any_address=listen in _WILDCARDS,
        origins=frozenset({_origin(base.scheme, base.netloc.lower()), *access.allowed_origins}),
        proxies=proxies,
        proxies_only=bool(proxies) and not is_loopback(listen),
        unproxied_only=not access.required,
    )


class Door:
    def __init__(self, rules: DoorRules) -> None:
        self._rules = rules
        self._known_hosts: dict[str, bool] = {}

    def around(self, app: ASGIApp) -> ASGIApp:
        """Around the whole app, so that all in it know what the proxy says, and nothing is answered past the door, also
        where there is no route. What is refused goes on, marked for `refusal_of`, to be counted and told like all else.
        """

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                self.pass_through(scope, dict(scope["headers"]))
            except AccessError as refused:
                marked: Any = scope
                marked[_REFUSED] = refused
            await app(scope, receive, send)

        return handle

    def pass_through(self, scope: Any, headers: Mapping[bytes, bytes]) -> None:
        """Raises: NotTheProxy, UndeclaredProxy, WrongHost, ForeignOrigin. What a trusted proxy says of its client
        stands in the scope afterwards: `scheme`, and what `client_address` gives."""
        rules = self._rules
        host = headers.get(b"host", b"").decode("latin-1")  # HTTP/1.0 may have none; browsers always send it
        self._require_our_host(host)
        peer = _address(scope.get("client")) if rules.proxies else None
        if peer is not None and any(peer in network for network in rules.proxies):
            host = self._as_forwarded(scope, headers, host)
            self._require_our_host(host)
        elif rules.proxies_only and peer is not None and not peer.is_loopback:
            raise NotTheProxy
        elif rules.unproxied_only and not _ADDED_BY_PROXIES.isdisjoint(headers):
            raise UndeclaredProxy
        origin = headers.get(b"origin")
        if origin is not None and (scope["type"] == "websocket" or scope["method"] not in _HARMLESS):
            self._require_ours(origin.decode("latin-1"), scope["scheme"], host)

    def _as_forwarded(self, scope: Any, headers: Mapping[bytes, bytes], host: str) -> str:
        """The host that the proxy was asked for. It stands beside `Host`, not in its place: a browser on the machine of
        the proxy has the same address, and a page may set X-Forwarded-Host."""
        proto = _last(headers.get(b"x-forwarded-proto")).lower()
        if proto in ("http", "https"):
            scope["scheme"] = proto
        for hop in reversed(headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")):
            address = _address((hop.strip(),))
            if address is None:
                break
            scope[_CLIENT_ADDRESS] = str(address)
            if not any(address in network for network in self._rules.proxies):
                break
        return _last(headers.get(b"x-forwarded-host")) or host

    def _require_our_host(self, host: str) -> None:
        known = self._known_hosts.get(host)
        if host and not (self._knows(host) if known is None else known):
            raise WrongHost(host)

    def _knows(self, host: str) -> bool:
        name = _name_of(host)
        ours = name in self._rules.hosts or (self._rules.any_address and _address((name,)) is not None)
        if len(self._known_hosts) < MAX_KNOWN_HOSTS:
            self._known_hosts[host] = ours
        return ours

    def _require_ours(self, origin: str, scheme: str, host: str) -> None:
        """The page's own host is ours, as `_knows` has found: a page of it is a page that we sent."""
        own = _origin(_PAGE_SCHEMES.get(scheme, scheme), host.lower())
        if origin.lower() != own and origin.lower() not in self._rules.origins:
            raise ForeignOrigin(origin)


def refusal_of(scope: Mapping[str, Any]) -> AccessError | None:
    """Why the request did not pass the door."""
    found = scope.get(_REFUSED)
    return found if isinstance(found, AccessError) else None


def client_address(scope: Mapping[str, Any]) -> str:
    """The IP address of who asks, as the trusted proxy tells it, else of who is connected; empty where there is none,
    as on a Unix socket."""
    found = scope.get(_CLIENT_ADDRESS)
    if found is not None:
        return str(found)
    client = scope.get("client")
    return str(client[0]) if client else ""


def _origin(scheme: str, netloc: str) -> str:
    """As a browser writes it: without the scheme's own port (RFC 6454, 6.1)."""
    return f"{scheme}://{netloc.removesuffix(':80' if scheme == 'http' else ':443')}"


def _name_of(host: str) -> str:
    """A Host header without its port, in lower case; "" where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _last(value: bytes | None) -> str:
    return value.decode("latin-1").rpartition(",")[2].strip() if value else ""


def _address(peer: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IPv4 client of an IPv6 socket counts as what it is."""
    try:
        address = ipaddress.ip_address(peer[0]) if peer else None
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
