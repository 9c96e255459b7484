"""Answers, read: to the structs of this client, or to its errors. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from order_client import errors as e
from order_client.bounds import MAX_WORDS
from order_client.resources import Order

T = TypeVar("T")

_KINDS: dict[int, type[e.Refused]] = {
    HTTPStatus.BAD_REQUEST: e.Invalid,
    HTTPStatus.UNAUTHORIZED: e.NotPermitted,
    HTTPStatus.FORBIDDEN: e.NotPermitted,
    HTTPStatus.NOT_FOUND: e.NotFound,
    HTTPStatus.CONFLICT: e.Conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: e.Invalid,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: e.Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: e.Invalid,
    HTTPStatus.TOO_MANY_REQUESTS: e.TooManyRequests,
}
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What bytes that may be anything can end with in a decoder: msgspec leaves two of its errors to Python."""

_ORDER_ENDED, _COMMIT_UNKNOWN = "order-ended", "commit-unknown"


class Answer(Struct, frozen=True):
    """`headers` have names in lower case; `next_page` is the URL of a Link header's rel=next (RFC 8288)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    next_page: str | None = None

    @property
    def position(self) -> int:
        """Of `Orders-Position`; 0 where the answer has none."""
        text = self.headers.get("orders-position", "")
        return int(text) if text.isascii() and text.isdigit() else 0

    @property
    def retry_after_s(self) -> float:
        """RFC 9110, 10.2.3, in its form of seconds; 0 where there is none."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isascii() and text.isdigit() else 0.0

    @property
    def next_target(self) -> str | None:
        """Path and query of the next page: only the service that was asked is asked again."""
        if self.next_page is None:
            return None
        link = urlsplit(self.next_page)
        return f"{link.path}?{link.query}"


class _Problem(Struct):
    """RFC 9457, and what the contract's exact 500 says."""

    type: str = ""
    detail: str = ""
    message: str = ""
    errors: list[e.FieldError] = []
    trace_id: str | None = None


class _Result(Struct):
    """What became of one order of many: an order or a problem, or something of a newer service."""

    status: int
    order: Order | None = None
    problem: _Problem | None = None


_problems = msgspec.json.Decoder(_Problem)


def content(answer: Answer, kind: type[T]) -> T:
    """Raises UnexpectedAnswer."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except UNREADABLE as error:
        raise e.UnexpectedAnswer(f"this is no answer of an order service: {error}: {_words(answer)}") from None


def refusal(answer: Answer, *, after_doubt: bool) -> e.OrderClientError:
    """What an answer that is no success means."""
    status = answer.status
    if status < HTTPStatus.BAD_REQUEST:
        return e.UnexpectedAnswer(f"this is no answer of an order service: status {status}")
    try:
        problem = _problems.decode(answer.body)
    except UNREADABLE:
        problem = _Problem(detail=_words(answer))
    if problem.trace_id is None:
        problem.trace_id = answer.headers.get("x-trace-id")
    return _refused(status, problem, after_doubt=after_doubt)


def results(answer: Answer, keys: Sequence[str]) -> list[Order | e.Refused]:
    """What became of each order of many, in order; a refusal has its order's key. Raises UnexpectedAnswer."""
    told = content(answer, list[_Result])
    if len(told) != len(keys):
        raise e.UnexpectedAnswer(f"this is no answer of an order service: {len(told)} results for {len(keys)} orders")
    return [one.order or _of_one(one, key) for one, key in zip(told, keys, strict=True)]


def _of_one(result: _Result, key: str) -> e.Refused:
    refused = _refused(result.status, result.problem or _Problem(), after_doubt=False)
    refused.client_order_id = key
    return refused


def _refused(status: int, problem: _Problem, *, after_doubt: bool) -> e.Refused:
    kind = problem.type.rpartition(":")[2]
    error = e.Unavailable if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _KINDS.get(status, e.Refused)
    return (e.OrderEnded if kind == _ORDER_ENDED else error)(
        problem.detail or problem.message or f"status {status}",
        status=status,
        kind=kind,
        errors=problem.errors,
        trace_id=problem.trace_id,
        after_doubt=after_doubt,
    )


def may_pass(answer: Answer) -> bool:
    """Whether the same request may be answered otherwise a moment later."""
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def may_be_done(answer: Answer) -> bool:
    """Whether what was asked for may have been carried out, or be still, although the answer is no success: of what the
    service refuses on purpose (429, 503) nothing was done, unless it says that it does not know."""
    on_purpose = answer.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return may_pass(answer) and (not on_purpose or _COMMIT_UNKNOWN.encode() in answer.body)


def located_order(answer: Answer) -> str | None:
    """The order that a Location header names."""
    return answer.headers.get("location", "").rpartition("/orders/")[2] or None


def _words(answer: Answer) -> str:
    return answer.body[:MAX_WORDS].decode(errors="replace") or f"an empty body, status {answer.status}"
