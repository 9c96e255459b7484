"""A call to the service with its repeats, apart from any network.

A `Conversation` is a generator that yields what is to be done, `Send` or `Pause`, and is sent what came of it. The sync
and the async client carry the steps out, each in its own way; what to do next is decided here, once for both.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from http import HTTPStatus
from typing import TypeVar

from msgspec import Struct

from order_client.answers import Answer, located_order, may_be_done, may_pass, refusal
from order_client.bounds import ATTEMPT_TIMEOUT_S, FIRST_BACKOFF_S, MAX_BACKOFF_S
from order_client.errors import InDoubt, OrderClientError, Unreachable
from order_client.requests import Request

T = TypeVar("T")


class Send(Struct, frozen=True):
    """Ask `url` within `timeout_s`; the outcome is an Answer or Unanswered."""

    url: str
    request: Request
    timeout_s: float


class Pause(Struct, frozen=True):
    seconds: float


class Unanswered(Struct, frozen=True):
    """`sent`: the request may have reached the service."""

    reason: str
    sent: bool


Outcome = Answer | Unanswered | None
Conversation = Generator[Send | Pause, Outcome, T]


class Servers:
    """The addresses of one service. One is used until it cannot be reached, then the next."""

    def __init__(self, base_url: str | Sequence[str]) -> None:
        given = [base_url] if isinstance(base_url, str) else list(base_url)
        if not given or not all(url.startswith(("http://", "https://")) for url in given):
            raise ValueError(f"base_url must be an address, or several, like http://127.0.0.1:8000, not {base_url!r}")
        self._urls = [url.rstrip("/") for url in given]
        self._at = 0

    @property
    def url(self) -> str:
        return self._urls[self._at]

    def leave(self, url: str) -> None:
        """Another one is next, unless someone else has left this one already."""
        if url == self.url:
            self._at = (self._at + 1) % len(self._urls)

    def copy(self) -> Servers:
        """For a stream: it goes its own way."""
        return Servers([*self._urls[self._at :], *self._urls[: self._at]])

    def __len__(self) -> int:
        return len(self._urls)


class Backoff:
    """Pauses that double up to a bound, each shortened by up to half, so that many clients do not come at once. While
    there are other servers to try, there is none."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    def pause_s(self, servers: int = 1) -> float:
        self._failures += 1
        rounds, within_round = divmod(self._failures, servers)
        if within_round:
            return 0.0
        doubled = FIRST_BACKOFF_S * 2.0 ** min(rounds - 1, 16)
        return min(doubled, MAX_BACKOFF_S) * (0.5 + self._jitter() / 2)


class Call:
    """One request and its repeats; `saw` hears every answer's position, `on_repeat` why there is another."""

    def __init__(
        self,
        request: Request,
        servers: Servers,
        timeout_s: float,
        *,
        saw: Callable[[int], None],
        on_repeat: Callable[[OrderClientError], None],
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._request = request
        self._saw = saw
        self._on_repeat = on_repeat
        self._servers = servers
        self._clock = clock
        self._ends_at = clock() + timeout_s
        self._backoff = Backoff(jitter)
        self._doubt = False  # an attempt may have been carried out, although no answer says so
        self._order_id = request.order_id

    def run(self) -> Conversation[Answer]:
        """The first answer that is a success. Raises OrderClientError."""
        while True:
            server, left_s = self._servers.url, max(0.0, self._ends_at - self._clock())
            outcome = yield Send(server, self._request, min(left_s, ATTEMPT_TIMEOUT_S))
            if isinstance(outcome, Answer):
                self._saw(outcome.position)
                self._order_id = self._order_id or located_order(outcome)
                if HTTPStatus.OK <= outcome.status < HTTPStatus.MULTIPLE_CHOICES:
                    return outcome
                error, in_doubt = refusal(outcome, after_doubt=self._doubt), may_be_done(outcome)
                if not may_pass(outcome):
                    raise error
                pause_s = max(outcome.retry_after_s, self._backoff.pause_s())
            else:
                assert isinstance(outcome, Unanswered)
                error, in_doubt = Unreachable(f"no answer from {server}: {outcome.reason}"), outcome.sent
                self._servers.leave(server)
                pause_s = self._backoff.pause_s(len(self._servers))
            self._doubt |= in_doubt and self._request.changes
            may_repeat = self._request.repeatable or not in_doubt
            if not may_repeat or self._clock() + pause_s >= self._ends_at:
                raise self._given_up(error)
            self._on_repeat(error)
            if pause_s:
                yield Pause(pause_s)

    def _given_up(self, error: OrderClientError) -> OrderClientError:
        if not self._doubt:
            return error
        what = "it may have been done nevertheless" if self._request.order_id else "the order may exist"
        return InDoubt(f"{error}; {what}: look, or ask the same again", order_id=self._order_id)
