"""What the refusals of the door are over HTTP (RFC 9457): status and title."""

from __future__ import annotations

from order_service.security import errors

PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    errors.NotAuthenticated: (401, "Not authenticated"),
    errors.NotPermitted: (403, "Not permitted"),
    errors.ForeignOrigin: (403, "Foreign origin"),
    errors.NotTheProxy: (403, "Not the proxy"),
    errors.UndeclaredProxy: (403, "Undeclared proxy"),
    errors.WrongHost: (421, "Misdirected request"),
}
