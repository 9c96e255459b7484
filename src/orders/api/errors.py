"""What the command routes refuse themselves.

ApiError
└── VenueRefused         the venue refused a cancel or new terms; the order lives on
"""

from __future__ import annotations


class ApiError(Exception):
    """`str()` is fit for the client."""


class VenueRefused(ApiError):
    """The venue's word, in its own words."""
