"""The one decoder of request bodies.

Stricter than Litestar's own, which takes "10" and 10.0 for 10, prices through float, and the last of two equal keys.
Parsing is the standard library's (RFC 8259; duplicate keys and NaN refused, numbers exact), typing is msgspec's strict
conversion.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from orders.api.errors import MalformedBody
from orders.domain.errors import FieldError, InvalidOrder


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    repeated = sorted({name for name in names if names.count(name) > 1})
    raise InvalidOrder(tuple(FieldError(name, f"`{name}` is given twice") for name in repeated))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


_decoder = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_float=Decimal, parse_constant=_no_constant)


def decode_object(body: bytes) -> dict[str, Any]:
    """The JSON object, its numbers with a point or exponent as Decimal.

    Raises: MalformedBody where it is no JSON, InvalidOrder where it is no object or has a key twice.
    """
    try:
        decoded = _decoder.decode(body.decode())
    except InvalidOrder:
        raise
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deep") from None
    except InvalidOperation:
        raise MalformedBody("The body is not valid JSON: a number's exponent is out of range") from None
    except ValueError as error:
        raise MalformedBody(f"The body is not valid JSON: {_shortened(str(error))}") from None
    if not isinstance(decoded, dict):
        raise InvalidOrder((FieldError("", "The body must be a JSON object"),))
    return decoded


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
