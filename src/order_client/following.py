"""A stream that resumes by itself, apart from any network: what to do next, and which messages are new.

A `Follower` says what is to be done, and is told what came of it. The streams of both forms carry its steps out, each
in its own way. A step that was broken off can be carried out again: nothing is lost by it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from msgspec import Struct

from order_client.answers import Answer, refusal
from order_client.bounds import SILENCE_S
from order_client.conversation import Backoff, Pause
from order_client.desk import Desk
from order_client.errors import Invalid, NotPermitted, StreamLost
from order_client.messages import BOOK, CAUGHT_UP, FELL_BEHIND, HEARTBEAT, Told, told
from order_client.options import StreamOptions
from order_client.requests import stream_target
from order_client.resumption import Resumption

T = TypeVar("T")

WRONG_PARAMETER, TOO_SLOW = 4422, 4408
_NO_ENTRANCE = {4401: HTTPStatus.UNAUTHORIZED, 4403: HTTPStatus.FORBIDDEN}
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


class Connect(Struct, frozen=True):
    """Open this WebSocket, in place of the one before; the outcome is Connected or NotConnected."""

    url: str


class Receive(Struct, frozen=True):
    """Wait that long for a frame; the outcome is Frame, Ended or Silence."""

    timeout_s: float


class Connected(Struct, frozen=True):
    pass


class NotConnected(Struct, frozen=True):
    """`answer` is what was answered in place of a WebSocket."""

    reason: str
    answer: Answer | None = None


class Frame(Struct, frozen=True):
    data: str | bytes


class Ended(Struct, frozen=True):
    """A close code and its reason (RFC 6455, 7.4); 1006 where the connection was lost."""

    code: int
    reason: str


class Silence(Struct, frozen=True):
    pass


Step = Connect | Receive | Pause
Outcome = Connected | NotConnected | Frame | Ended | Silence | None


class Wanted(Struct, frozen=True, kw_only=True):
    """The options of a stream: those for the service are in `params`."""

    params: Mapping[str, Any]
    caught_up: bool
    give_up_after_s: float | None
    on_lost: Callable[[str], None] | None


def wanted(options: StreamOptions) -> Wanted:
    """Raises TypeError for an option that there is not."""
    if unknown := options.keys() - StreamOptions.__annotations__.keys():
        raise TypeError(f"a stream has no option {', '.join(sorted(unknown))}")
    return Wanted(
        params={
            "channels": options.get("channels"),
            "symbol": options.get("symbol"),
            "order_id": options.get("order_id"),
            "detail": options.get("detail") or None,
            "batch": options.get("batch", True) or None,
        },
        caught_up=options.get("caught_up", False),
        give_up_after_s=options.get("give_up_after_s"),
        on_lost=options.get("on_lost"),
    )


class Follower(Generic[T]):
    """`read` makes what `take` gives of a message; None for what is to be left out."""

    def __init__(self, desk: Desk, wanted: Wanted, after: int, read: Callable[[Told], T | None]) -> None:
        self._desk = desk
        self._servers = desk.servers.copy()
        self._wanted = wanted
        self._read = read
        self._resumption = Resumption(after)
        self._ready: deque[tuple[T, int]] = deque()
        self._backoff = Backoff(desk.jitter)
        self._failing_since: float | None = None
        self._was_served = False
        self._steps = self._run()
        self.step = next(self._steps)

    @property
    def position(self) -> int:
        """Everything up to here was taken: a later stream may go on after it."""
        return self._ready[0][1] if self._ready else self._resumption.position

    @property
    def ready(self) -> bool:
        return bool(self._ready)

    def take(self) -> T:
        return self._ready.popleft()[0]

    def tell(self, outcome: Outcome) -> None:
        """What came of the step; then there is another, after an error too: that of trying once more. Raises
        OrderClientError, and what `on_lost` raises."""
        try:
            self.step = self._steps.send(outcome)
        except Exception:
            self._failing_since = None
            self._steps = self._run()
            self.step = next(self._steps)
            raise

    def _run(self) -> Generator[Step, Outcome, None]:
        while True:
            outcome = yield Connect(self._url())
            if isinstance(outcome, Connected):
                self._resumption.begins_again()
                reason = yield from self._receive()
            else:
                assert isinstance(outcome, NotConnected)
                reason = self._not_connected(outcome)
            yield Pause(self._pause_s(reason))

    def _receive(self) -> Generator[Step, Outcome, str]:
        """Until the connection is no good any more: why."""
        while True:
            outcome = yield Receive(SILENCE_S)
            if isinstance(outcome, Frame):
                self._was_served = True
                for message in told(outcome.data):
                    self._take_in(message)
            elif isinstance(outcome, Ended):
                return self._ended(outcome)
            else:
                self._servers.leave(self._servers.url)
                return f"nothing was heard for {SILENCE_S:g} s"

    def _take_in(self, message: Told) -> None:
        shown = self._read(message)  # first: what cannot be read was not received, and comes again
        before = self._resumption.position
        self._failing_since = None
        if message.kind in (HEARTBEAT, CAUGHT_UP, BOOK):
            self._resumption.reached(message.position)
            new = message.kind == BOOK or (message.kind == CAUGHT_UP and self._wanted.caught_up)
        elif message.kind == FELL_BEHIND:
            self._resumption.begins_again()
            new = False
        else:
            new = self._resumption.is_new(message)
        if new and shown is not None:
            self._ready.append((shown, before))
        # A service that says caught_up and ends at once, again and again, is still left alone for longer each time.
        if message.kind == HEARTBEAT or (new and message.kind != CAUGHT_UP):
            self._backoff.reset()
        self._desk.saw(message.position)

    def _ended(self, ended: Ended) -> str:
        if ended.code == WRONG_PARAMETER:
            raise Invalid(ended.reason, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        if (status := _NO_ENTRANCE.get(ended.code)) is not None:
            raise NotPermitted(ended.reason, status=status)
        if ended.code != TOO_SLOW:
            self._servers.leave(self._servers.url)
        return ended.reason or f"the connection ended with code {ended.code}"

    def _not_connected(self, failed: NotConnected) -> str:
        """Who was never served is told at once what is wrong; afterwards it is something that passes."""
        answer = failed.answer
        if answer is not None and not self._was_served:
            status = answer.status
            if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING:
                raise refusal(answer, after_doubt=False)
        self._servers.leave(self._servers.url)
        return failed.reason

    def _pause_s(self, reason: str) -> float:
        """How long to wait before the next attempt. Raises StreamLost where it was tried for long enough."""
        now, limit_s = self._desk.clock(), self._wanted.give_up_after_s
        if self._failing_since is None:
            self._failing_since = now
        if limit_s is not None and now - self._failing_since >= limit_s:
            words = f"the stream was lost for {limit_s:g} s: {reason}; resume it after {self.position}"
            raise StreamLost(words, position=self.position)
        if self._wanted.on_lost is not None:
            self._wanted.on_lost(reason)
        return self._backoff.pause_s(len(self._servers))

    def _url(self) -> str:
        target = stream_target(self._resumption.position, self._wanted.params)
        return self._servers.url.replace("http", "ws", 1) + target
