"""Values that are named like a secret, hidden in any text: assignments, headers, JSON, and Python's own notation.

What is hidden is always whole: a quoted value to its closing quote, however deep it is nested. A JSON line stays one.
"""

from __future__ import annotations

import re

HIDDEN = "***"

_NAMES = (
    r"(?:api[_-]?key|token|ticket|secret|passw(?:or)?d|pwd|passphrase|(?:private|access|secret)[_-]?key|authorization)"
)
"""Whatever stands before them: client_secret, PGPASSWORD, id_token."""
_NAMED = re.compile(
    rf"(?i)(?P<name>{_NAMES})(?P<closed>\\*[\"'])?\s*(?P<sign>[=:])\s*"
    r"(?:b?(?P<quote>\\*[\"'])(?(closed)|(?!\s*(?:[,:}\])]|$))))?"
)
"""After a name without quotes a quote may also be the end of the text that the name stands in."""
_PAIR = re.compile(rf"(?i)([(\[]b?(\\{{0,255}}[\"'])[\w-]*{_NAMES}\2,\s*b?(\\{{0,255}}[\"']))(?:(?!\3).)+")
"""A header as ASGI and httpx show it, eight texts deep at most: the quote is looked for at each place of the value."""

_ESCAPED = r"(?:\\\\)+(?=[^\s\\\"'])|\\[^\s\\\"'nrtbf]"
"""A backslash that is part of a value, and neither the escape of a quote nor the end of a line."""
_ASSIGNED = re.compile(rf"(?:[^\s\\\"'&]|{_ESCAPED})*")
_PLAIN = rf"(?:[^\s\\\"'&,;)\]}}{{[]|{_ESCAPED})*"
_TOLD = re.compile(_PLAIN)
_TOLD_WITH_SCHEME = re.compile(rf"{_PLAIN}(?:[ \t]+{_PLAIN})?")  # RFC 9110, 11.4
_NOTHING = frozenset({"null", "none", "true", "false"})
_END = re.compile(r"(?<!\\)(\\*)([\"'])")
_END_OF_TEXT = re.compile(r"\"\s*(?:[,:}\]]|$)")


def named_hidden(text: str) -> str:
    """`text` with each such value replaced. A value of several words without quotes is hidden up to its first space."""
    text = _PAIR.sub(rf"\1{HIDDEN}", text)
    shown: list[str] = []
    done = 0
    while (found := _NAMED.search(text, done)) is not None:
        shown.append(text[done : found.end()])
        if found["quote"] is not None:
            done, hidden = _end_of_quoted(text, found.end(), found["quote"]), HIDDEN
        else:
            done, hidden = _unquoted(text, found)
        shown.append(hidden if done > found.end() else "")
    return "".join((*shown, text[done:]))


def _unquoted(text: str, found: re.Match[str]) -> tuple[int, str]:
    """Where it ends, and what is shown for it: in JSON something that is a value, too."""
    if found["name"].lower() == "authorization":
        value = _TOLD_WITH_SCHEME
    else:
        value = _ASSIGNED if found["sign"] == "=" else _TOLD
    matched = value.match(text, found.end())
    end = found.end() if matched is None else matched.end()
    if found["closed"] is None:
        return end, HIDDEN
    given = text[found.end() : end]
    return end, given if given.lower() in _NOTHING else f"{found['closed']}{HIDDEN}{found['closed']}"


def _end_of_quoted(text: str, start: int, quote: str) -> int:
    """Where the closing quote begins; the end of the text around where there is none.

    A quote that is nested k times in JSON texts has 2^k - 1 backslashes. One with more of them belongs to the value,
    one with fewer ends a text around it.
    """
    escapes, kind = len(quote) - 1, quote[-1]
    for found in _END.finditer(text, start):
        backslashes = len(found[1])
        if found[2] != kind:
            if found[2] == '"' and backslashes % 2 == 0 and _END_OF_TEXT.match(text, found.start(2)):
                return found.start()
        elif kind == "'":
            if backslashes <= escapes:
                return found.start()
        elif backslashes & (2 * escapes + 1) == escapes:
            return found.end(1) - escapes
        elif backslashes & escapes != escapes:
            return found.start()
    return len(text)
