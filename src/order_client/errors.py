"""What a call or a stream can end with.

OrderClientError            `client_order_id` of the order that was to be placed, where there is one
├── Refused                 the service said no: status, detail, errors of the fields
│   ├── Invalid             wrong fields or parameters (400, 413, 415, 422)
│   ├── NotPermitted        the key or token is missing, wrong or too little (401, 403)
│   ├── NotFound            there is no such order (404)
│   ├── OrderEnded          it has already been executed, canceled, ... (400)
│   ├── Conflict            the key is taken, a change is pending, or the exchange refused it (409)
│   ├── TooManyRequests     over the rate, until the time allowed was over (429)
│   └── Unavailable         it could not, until the time allowed was over (5xx)
├── Unreachable             nobody answered; nothing was done
├── InDoubt                 nobody answered in time; it may have been done
├── UnexpectedAnswer        what answered is no order service, or a much newer one
└── StreamLost              a stream had no word for as long as it was to try; it can be resumed
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class FieldError(Struct, frozen=True):
    """A wrong field of a body, or a wrong parameter."""

    field: str
    message: str


class OrderClientError(Exception):
    """`str()` says what happened in a person's words. `client_order_id` is the key of an order that was to be placed: a
    call of `place` with it and the same terms can never make a second order. `client_order_ids` are those of many
    orders that were to be placed together."""

    client_order_id: str | None = None
    client_order_ids: Sequence[str] = ()


class Refused(OrderClientError):
    """`status` is HTTP's, `kind` the last part of the problem's type (RFC 9457), such as "key-reused". `after_doubt`:
    an earlier attempt of the same call got no answer and may have been carried out."""

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        kind: str = "",
        errors: Sequence[FieldError] = (),
        trace_id: str | None = None,
        after_doubt: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.kind = kind
        self.errors = tuple(errors)
        self.trace_id = trace_id
        self.after_doubt = after_doubt


class Invalid(Refused):
    """`errors` names every wrong field."""


class NotPermitted(Refused):
    pass


class NotFound(Refused):
    pass


class OrderEnded(Refused):
    pass


class Conflict(Refused):
    pass


class TooManyRequests(Refused):
    pass


class Unavailable(Refused):
    pass


class Unreachable(OrderClientError):
    pass


class InDoubt(OrderClientError):
    """`order_id` is the order in question, where it is known."""

    def __init__(self, words: str, *, order_id: str | None = None) -> None:
        super().__init__(words)
        self.order_id = order_id


class UnexpectedAnswer(OrderClientError):
    pass


class StreamLost(OrderClientError):
    """`position` is where to resume: `stream(after=position)`."""

    def __init__(self, words: str, *, position: int) -> None:
        super().__init__(words)
        self.position = position
