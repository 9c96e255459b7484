"""What the command routes refuse themselves, before an order is looked at.

ApiError
├── MalformedBody        the body is no JSON
├── WrongMediaType       the body claims to be something else than JSON
└── VenueRefused         the venue refused a cancel or new terms; the order lives on
"""

from __future__ import annotations


class ApiError(Exception):
    """`str()` is fit for the client."""


class MalformedBody(ApiError):
    pass


class WrongMediaType(ApiError):
    def __init__(self, given: str) -> None:
        super().__init__(f"The body must be application/json in UTF-8, not {given}")


class VenueRefused(ApiError):
    """The venue's word, in its own words."""
