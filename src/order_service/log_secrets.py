"""What must not be read by who reads the log: known secrets by their value, and all that looks like one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

from order_service.security.api_keys import PATTERN as API_KEY
from order_service.settings import Settings

HIDDEN = "***"
_SHORTEST = 6
"""Characters of a known secret that is looked for: a shorter one would hide half of the words."""

_QUOTE = r"(?:\\*[\"'])?"
"""In a JSON line the quotes of a text are escaped, and those of a JSON text in it twice."""
_NAMES = r"(?:api[_-]?key|(?:access[_-]?)?token|ticket|secret|password)"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<=://)([^\s:/@\"']*):[^\s/\"']+@"), rf"\1:{HIDDEN}@"),  # a URL's userinfo (RFC 3986, 3.2.1)
    (re.compile(r"(?<=\bpassword=)(?:'[^']*'|[^\s&\\\"']+)"), HIDDEN),  # libpq's keyword, or a query parameter
    (re.compile(API_KEY), rf"orders_\1_{HIDDEN}"),  # the id says which one it was
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), HIDDEN),  # a JSON Web Token begins with {" in base64url
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),  # RFC 9110, 11.4
    (re.compile(rf"(?i)(\b{_NAMES}{_QUOTE}\s*[=:]\s*{_QUOTE})[^\s\\\"'&,;)]+"), rf"\1{HIDDEN}"),
)


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
        return text


def secrets_of(settings: Settings) -> Secrets:
    return Secrets(_known(settings))


def _known(settings: Settings) -> Iterator[str]:
    for url in (settings.database_url, settings.database_direct_url, settings.database_owner_url, settings.amqp_url):
        password = urlsplit(url).password or ""
        yield from (password, unquote(password))
    hook = urlsplit(settings.alert_webhook_url)
    yield from (hook.password or "", hook.path, hook.query)  # services that take alerts know their callers by the path
    yield settings.access.api_key
    if settings.access.tokens is not None:
        yield settings.access.tokens.key
