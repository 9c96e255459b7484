"""The one decoder of request bodies.

Stricter than Litestar's own, which takes "10" and 10.0 for 10, prices through float, and the last of two equal keys.
Parsing is the standard library's (RFC 8259; duplicate keys and NaN refused, numbers exact), typing is msgspec's strict
conversion.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

from orders.bounds import MAX_ECHO, MAX_NUMBER_DIGITS
from orders.domain.errors import FieldError, InvalidOrder
from orders.request_errors import MalformedBody


class Repeating(dict[str, Any]):
    """A JSON object that has keys twice; it holds the last value of each."""

    repeated: tuple[str, ...] = ()


def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object. Raises: MalformedBody where it is no JSON, InvalidOrder where it is no object."""
    decoded = decode_strictly(body)
    if not isinstance(decoded, dict):
        raise InvalidOrder((FieldError("", "The body must be a JSON object"),))
    return decoded


def decode_strictly(body: bytes) -> Any:
    """The JSON value, its numbers with a point or exponent as Decimal; an object is `Repeating` where it has a key
    twice. Raises: MalformedBody."""
    try:
        return _decoder.decode(body.decode())
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deep") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {shortened(str(error))}") from None


def shortened(text: str) -> str:
    """What a client sent, as it is shown to it again."""
    return text if len(text) <= MAX_ECHO else text[:MAX_ECHO] + "…"


def encodable(text: str) -> str:
    """What a client sent without halves of surrogate pairs, which JSON can name and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeating = Repeating(found)
    repeating.repeated = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return repeating


def _no_constant(name: str) -> Any:
    raise MalformedBody(f"The body is not valid JSON: {name} is no number")


def _whole(text: str) -> int:
    """No field takes a number of so many digits, so that its first ones are as wrong as all of them; Python converts
    4,300 at the most."""
    return int(text[:MAX_NUMBER_DIGITS])


def _exact(text: str) -> Decimal:
    """Exact, whatever the thread's own context does. What is longer than any field takes is no number (NaN), nor is
    what has an exponent of more digits than Python converts."""
    return Decimal(text if len(text) <= MAX_NUMBER_DIGITS else "NaN", _NUMBERS)


_NUMBERS = Context(traps=[])
_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_exact, parse_int=_whole, parse_constant=_no_constant
)
