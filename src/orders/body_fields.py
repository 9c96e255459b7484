"""Takes the fields of a JSON body one by one and keeps what is wrong, so that a client hears all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from orders.bounds import MAX_FIELD_ERRORS
from orders.domain.errors import FieldError
from orders.strict_json import Repeating, shortened

_REQUIRED = "Field required"


class BodyFields:
    """The fields of one body; those of `schema` are known. Null is the same as absent, and of the wrong type where
    there must be a value."""

    def __init__(self, given: Mapping[str, Any], schema: type[Struct]) -> None:
        self.errors: list[FieldError] = []
        self._given = given
        self._names = schema.__struct_fields__
        if isinstance(given, Repeating):
            for name in given.repeated:
                self.refuse(shortened(name), f"`{shortened(name)}` is given twice")
        for name in given:
            if name not in self._names:
                self.refuse(shortened(name), f"Unknown field `{shortened(name)}`")

    def refuse(self, field: str, message: str) -> None:
        self.errors.append(FieldError(field, message))

    def is_wrong(self, *fields: str) -> bool:
        return any(error.field in fields for error in self.errors)

    def read(self, name: str, convert: Callable[[Any], Any], *, required: bool = False) -> Any:
        """The field's value; None where it is absent, or `convert` raises ValueError with what is wrong."""
        value = self._given.get(name)
        if required and name not in self._given:
            self.refuse(name, _REQUIRED)
            return None
        if value is None and not required:
            return None
        try:
            return convert(value)
        except ValueError as error:
            self.refuse(name, str(error))
            return None

    def ordered_errors(self) -> tuple[FieldError, ...]:
        """In the order of the schema's fields: the first, the problem's detail, is always the same."""
        places = {name: place for place, name in enumerate(self._names)}
        ordered = sorted(self.errors, key=lambda error: places.get(error.field, len(places)))
        return tuple(ordered[:MAX_FIELD_ERRORS])


def text(value: Any) -> str:
    """Raises ValueError where it is none."""
    if not isinstance(value, str):
        raise ValueError("Input should be a valid string")
    return value
