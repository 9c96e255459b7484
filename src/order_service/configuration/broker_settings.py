"""The settings of RabbitMQ: AMQP_URL, where it is and how to log in there, and INTEGRATION_EVENTS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

_TLS_FILES = ("cafile", "certfile", "keyfile")


def broker_settings(raw: Mapping[str, str], refuse: Callable[[str, str], None]) -> tuple[str, bool]:
    """The URL, empty where there is no RabbitMQ, and whether integration events go there. What is wrong is refused, by
    the setting's name."""
    url, events = raw["AMQP_URL"], raw["INTEGRATION_EVENTS"]
    if url and (wrong := _wrong_with(url)):
        refuse("AMQP_URL", wrong)
    if events not in ("", "off", "on"):
        refuse("INTEGRATION_EVENTS", f"{events!r} is none of off, on")
    if events == "on" and not url:
        refuse("INTEGRATION_EVENTS", "is on, but AMQP_URL names no RabbitMQ that would carry them")
    return url, events == "on"


def _wrong_with(url: str) -> str | None:
    """What is wrong with it, without showing any of it, since it holds a password; None where nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return _EXAMPLE
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname or port == 0 or parts.fragment:
        return _EXAMPLE
    if "/" in parts.path[1:]:
        return "names a virtual host with a slash: write the slash as %2F"
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _TLS_FILES:
            return f"has a parameter that is none of {', '.join(_TLS_FILES)}"
        if parts.scheme == "amqp":
            return f"has the parameter {name}, which is for amqps:// only"
    return None


def broker_address(url: str) -> str:
    """Address and virtual host, for people, of a URL that was checked."""
    parts = urlsplit(url)
    vhost = unquote(parts.path[1:]) or "/"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}, virtual host {vhost}"


_EXAMPLE = (
    "is not like amqp://user:password@host:5672/, or amqps://user:password@host:5671/virtual-host?cafile=/path"
    " (write special characters of the password as %XX)"
)
