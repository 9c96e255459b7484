"""What the refusals of the operators' routes are over HTTP (RFC 9457): status and title."""

from __future__ import annotations

from exchange_adapter import refusals

PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    refusals.InDoubt: (409, "Not in this state"),
    refusals.TooEarly: (409, "Too early"),
    refusals.WorkerLives: (409, "The worker lives"),
}
