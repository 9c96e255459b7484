"""Lines that cannot be read: what is wrong with them, and the id to answer under if there is one."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

import msgspec
from msgspec import Struct

from simulated_exchange.protocol import Refused

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a line that may be anything can end with in a decoder: msgspec leaves two of its errors to Python."""


class _Probe(Struct):
    """What can be read of a request that cannot be read."""

    id: msgspec.Raw = msgspec.Raw(b"null")
    op: msgspec.Raw = msgspec.Raw(b"null")


class _Key(Struct):
    id: int | str | None = None


_probe_decoder = msgspec.json.Decoder(_Probe)
_key_decoder = msgspec.json.Decoder(_Key)


def unreadable(frame: bytes, problem: str, operations: Set[str]) -> tuple[int | str | None, Refused]:
    """The id, if it could be read, and what is wrong with a frame."""
    key: int | str | None = None
    try:
        probe = _probe_decoder.decode(frame)
        key = _key_decoder.decode(frame).id
        op = msgspec.json.decode(probe.op)
    except UNREADABLE:
        return key, Refused("bad_request", problem)
    if isinstance(op, str) and op not in operations:
        return key, Refused("unknown_op", f"there is no operation {op[:64]!r}")
    return key, Refused("bad_request", problem)
