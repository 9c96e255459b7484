"""What a check of `orders doctor` finds."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

State = Literal["well", "wrong", "unreachable", "unknown"]
"""`unknown`: could not be checked, because of something that another finding names."""


class Finding(Struct, frozen=True):
    check: str
    state: State
    found: str
    to_do: str = ""
