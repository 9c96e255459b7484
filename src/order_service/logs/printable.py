"""What others say, as a terminal may have it: a client's path, an exchange's reason, an answer of a server."""

from __future__ import annotations


def printable(text: str) -> str:
    """One line that changes nothing but its place: line breaks, control characters (ECMA-48) and whatever else has no
    look of its own stand as Python writes them, `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
