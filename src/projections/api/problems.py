"""What the refusals of the read side are over HTTP (RFC 9457): status and title.

Every 503 goes with Retry-After.
"""

from __future__ import annotations

from projections import errors

PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    errors.UnknownBook: (404, "Not found"),
    errors.UnknownProjection: (404, "Not found"),
    errors.NotCaughtUp: (503, "Not caught up yet"),
    errors.TooManyReads: (503, "Overloaded"),
    errors.FeedUnavailable: (503, "Feed unavailable"),
    errors.ReadsUnavailable: (503, "Database unavailable"),
    errors.TablesMissing: (503, "Not caught up yet"),
}
