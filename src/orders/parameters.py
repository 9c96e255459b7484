"""Query parameters, read strictly: every wrong one is named, and one that is unknown or stands twice is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec

from orders.bounds import MAX_CLIENT_ORDER_ID, MAX_SYMBOL, MAX_WAIT_MS
from orders.domain.errors import FieldError, UnknownOrder
from orders.domain.values import Side
from orders.path_segments import segment_text
from orders.request_errors import InvalidParameters

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

KEY_CHARACTER = "[!-~]"
"""What a `client_order_id` is made of, as a regular expression: what is printable, and no space."""

_DIGITS = re.compile(r"[0-9]{1,19}")
_SYMBOL = re.compile(rf"[A-Za-z0-9._/-]{{1,{MAX_SYMBOL}}}")
_KEY = re.compile(rf"{KEY_CHARACTER}{{1,{MAX_CLIENT_ORDER_ID}}}")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SIDES = {**{side.value: side for side in Side}, "1": Side.BUY, "-1": Side.SELL}
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How fresh an answer must be: it holds `min_position`, for which it may wait. Without waiting it is as it is."""

    min_position: int | None = None
    wait_ms: int = MAX_WAIT_MS


class Parameters:
    """Takes parameters one by one and keeps what is wrong, so that a client hears all at once from `check()`."""

    def __init__(self, given: Iterable[tuple[str, str]]) -> None:
        self._given: dict[str, str] = {}
        self._known: set[str] = set()
        self.errors: list[FieldError] = []
        for name, value in given:
            if name in self._given:
                self.refuse(name, f"Parameter `{name}` is given more than once")
            self._given[name] = value

    def check(self) -> None:
        """Call it when all known parameters were taken. Raises InvalidParameters."""
        for name in self._given:
            if name not in self._known:
                self.refuse(name, f"Parameter `{name}` is not known here")
        if self.errors:
            raise InvalidParameters(self.errors)

    def refuse(self, name: str, message: str) -> None:
        self.errors.append(FieldError(name, message))

    def take(self, name: str, read: Callable[[str], T], expected: str) -> T | None:
        """The parameter's value; None where it is not given, or `read` raises ValueError: it is no `expected`."""
        self._known.add(name)
        text = self._given.get(name)
        if text is None:
            return None
        try:
            return read(text)
        except ValueError:
            self.refuse(name, f"Parameter `{name}` must be {expected}")
            return None

    def number(self, name: str, low: int, high: int) -> int | None:
        def read(text: str) -> int:
            number = whole_number(text)
            if not low <= number <= high:
                raise ValueError(text)
            return number

        return self.take(name, read, f"a whole number from {low} to {high}")

    def asked(self) -> Asked:
        """min_position and wait_ms, which every read takes."""
        min_position = self.position("min_position")
        wait_ms = self.number("wait_ms", 0, MAX_WAIT_MS)
        return Asked(min_position=min_position, wait_ms=MAX_WAIT_MS if wait_ms is None else wait_ms)

    def absent(self, name: str, message: str) -> None:
        """A parameter that other reads have, and this one cannot: `message` says why, and what to do."""
        self._known.add(name)
        if name in self._given:
            self.refuse(name, message)

    def position(self, name: str) -> int | None:
        return self.take(name, whole_number, "a position: a whole number from 0")

    def one_of(self, name: str, kind: type[E]) -> E | None:
        return self.take(name, kind, f"one of {', '.join(member.value for member in kind)}")

    def side(self, name: str) -> Side | None:
        return self.take(name, _member_of(_SIDES), "buy or sell")

    def flag(self, name: str) -> bool:
        return bool(self.take(name, _member_of({"true": True, "false": False}), "true or false"))

    def symbol(self, name: str) -> str | None:
        return self.take(name, parsed_symbol, "a symbol or an instrument code")

    def client_order_id(self, name: str) -> str | None:
        return self.take(name, _key, f"1 to {MAX_CLIENT_ORDER_ID} characters from ! to ~")

    def order_id(self, name: str) -> UUID | None:
        return self.take(name, parsed_id, "an order's id")

    def time(self, name: str) -> datetime | None:
        return self.take(name, parsed_time, "a time like 2026-11-21T09:30:00Z (RFC 3339)")

    def position_or_time(self, name: str) -> int | datetime | None:
        def read(text: str) -> int | datetime:
            return int(text) if _DIGITS.fullmatch(text) else parsed_time(text)

        return self.take(name, read, "a position, or a time like 2026-11-21T09:30:00Z (RFC 3339)")


def take_none(given: Iterable[tuple[str, str]]) -> None:
    """Where there are no parameters: what a client means by one is not done. Raises InvalidParameters."""
    Parameters(given).check()


def parsed_symbol(text: str) -> str:
    """A text that may be a symbol or an instrument code, and goes into paths, filters and pages of every kind."""
    if not _SYMBOL.fullmatch(text):
        raise ValueError(text)
    return text


def is_key(text: str) -> bool:
    """Whether it may be a `client_order_id`."""
    return _KEY.fullmatch(text) is not None


def whole_number(text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise ValueError(text)
    return int(text)


def parsed_time(text: str) -> datetime:
    """RFC 3339 with its offset. A plus sign that the query string has turned into a space is taken as meant."""
    if text[-6:-5] == " ":
        text = f"{text[:-6]}+{text[-5:]}"
    try:
        return msgspec.convert(text, _Time)
    except msgspec.ValidationError:
        raise ValueError(text) from None


def parsed_id(text: str) -> UUID:
    """An order's id in its one form, 8-4-4-4-12 hexadecimal digits."""
    if not _ID.fullmatch(text):
        raise ValueError(text)
    return UUID(text)


def existing_id(text: str) -> UUID:
    """From a segment of a path. Raises UnknownOrder where that is no id: then there is no such order either."""
    try:
        return parsed_id(text)
    except ValueError:
        raise UnknownOrder(segment_text(text)) from None


def _key(text: str) -> str:
    if not is_key(text):
        raise ValueError(text)
    return text


def _member_of(members: dict[str, T]) -> Callable[[str], T]:
    def read(text: str) -> T:
        if text not in members:
            raise ValueError(text)
        return members[text]

    return read
