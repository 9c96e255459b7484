"""What is wrong with a request itself, before anything is looked at. Every HTTP border of ours refuses with these.

RequestError
├── MalformedBody        the body is no JSON
├── WrongMediaType       the body claims to be something else than JSON
├── WrongFields          lists every wrong field of a body that is no order's
└── InvalidParameters    lists every wrong parameter of the query
"""

from __future__ import annotations

from collections.abc import Sequence

from orders.domain.errors import FieldError


class RequestError(Exception):
    """`str()` is fit for the client."""


class MalformedBody(RequestError):
    pass


class WrongMediaType(RequestError):
    def __init__(self, given: str) -> None:
        super().__init__(f"The body must be application/json in UTF-8, not {given}")


class WrongFields(RequestError):
    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(errors[0].message)
        self.errors = tuple(errors)


class InvalidParameters(RequestError):
    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(errors[0].message)
        self.errors = tuple(errors)
