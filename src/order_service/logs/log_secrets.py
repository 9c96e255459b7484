"""What must not be read by who reads the log: known secrets by their value, and all that looks like one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

from order_service.configuration.settings import Settings
from order_service.logs.named_secrets import HIDDEN, named_hidden
from order_service.security.api_keys import PATTERN as API_KEY

_SHORTEST = 6
"""Characters of a known secret that is looked for: a shorter one would hide half of the words."""

_USERINFO = r"(?:[^\s/\"']+|(?!\d+[/?#])(?:(?!://)[^\s\"'])+)@"
"""After the name in a URL (RFC 3986, 3.2.1). A slash should be %2F there; a port before a path is no password."""
_TOKEN = r"(?<![\w-])(?=[\w-]+\.[\w-]{8,}\.)([\w-]*?)\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
"""A JSON Web Token begins with {" in base64url. It is looked for once a word, and only where two others follow."""
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"(?<=://)([^\s:/@\"']*):{_USERINFO}"), rf"\1:{HIDDEN}@"),
    (re.compile(API_KEY), rf"orders_\1_{HIDDEN}"),  # the id says which one it was
    (re.compile(_TOKEN), rf"\1{HIDDEN}"),
    (re.compile(r"(?<=orders\.bearer\.)[^\s,;\\\"')]+"), HIDDEN),  # a browser's WebSocket offers its credential so
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),  # RFC 9110, 11.4
)
_WRITTEN = re.compile(r"://[^:/@]*:([^/@]*)@|[?&](?:ssl)?password=([^&]*)")
"""A password as it stands in a URL, as libpq reads it."""


class Secrets:
    """Hides in a text what it must not show. `known` are values that are secret whatever they look like."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        long_enough = {text for text in known if len(text) >= _SHORTEST}
        escaped = {json.dumps(text)[1:-1] for text in long_enough}
        longest_first = sorted(long_enough | escaped, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hidden_in(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for shape, shown in _SHAPES:
            text = shape.sub(shown, text)
        return named_hidden(text)


def secrets_of(settings: Settings) -> Secrets:
    return Secrets(_known(settings))


def _known(settings: Settings) -> Iterator[str]:
    for url in (settings.database_url, settings.database_direct_url, settings.database_owner_url):
        yield from _of_postgres(url)
    broker = urlsplit(settings.amqp_url).password or ""
    yield from (broker, unquote(broker))
    hook = urlsplit(settings.alert_webhook_url)
    yield from (hook.password or "", hook.path, hook.query)  # services that take alerts know their callers by the path
    yield settings.access.api_key
    if settings.access.tokens is not None:
        yield settings.access.tokens.key


def _of_postgres(url: str) -> Iterator[str]:
    """As libpq reads it, which takes more for a password than other readers of URLs do."""
    if not url:
        return
    from psycopg.conninfo import conninfo_to_dict

    meant = conninfo_to_dict(url)
    yield from (str(meant.get(name) or "") for name in ("password", "sslpassword"))
    for found in _WRITTEN.finditer(url):
        yield found[1] or found[2] or ""
