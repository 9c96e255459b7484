"""A stream's core without a network: a follower, and a model of the service that cuts and repeats as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, urlsplit

from order_client.conversation import Pause
from order_client.following import Connect, Connected, Ended, Follower, Frame, Outcome, Receive, wanted
from order_client.messages import Told
from order_client.options import StreamOptions
from tests.support.client_talks import Talk

LOST = Ended(1006, "the connection was lost")


def message(position: int, *, more: bool = False, place: int = 0, **fields: Any) -> dict[str, Any]:
    """As much of an order's message as resuming needs; `place` tells apart those of one position."""
    told: dict[str, Any] = {"event": "OrderPlaced", "position": position, "place": place, **fields}
    return {**told, "more": True} if more else told


def control(kind: str, position: int) -> dict[str, Any]:
    return {"type": kind, "position": position}


def frame(*messages: dict[str, Any], listed: bool = False) -> Frame:
    """One message as it is, several as a list."""
    return Frame(json.dumps(messages if listed or len(messages) > 1 else messages[0]))


def placed(told: dict[str, Any]) -> tuple[int, int]:
    return told["position"], told["place"]


class Follow:
    """A follower that is told what a test says; `lost` has the reasons of lost connections."""

    def __init__(
        self,
        after: int = 0,
        *,
        servers: Sequence[str] = ("http://a",),
        read: Callable[[Told], dict[str, Any] | None] | None = None,
        **options: Any,
    ) -> None:
        self.talk = Talk(servers=servers)
        self.lost: list[str] = []
        given = cast(StreamOptions, {"on_lost": self.lost.append, **options})
        self.follower: Follower[dict[str, Any]] = Follower(self.talk.desk, wanted(given), after, read or shown)
        self.pauses: list[float] = []

    @property
    def connecting_to(self) -> str:
        """The address that is to be opened, as soon as the pause before it is over."""
        self._pause()
        assert isinstance(self.follower.step, Connect)
        return self.follower.step.url

    @property
    def after(self) -> int:
        """The position that the service is asked to resume from."""
        return int(parse_qs(urlsplit(self.connecting_to).query)["after"][0])

    def connected(self, *outcomes: Outcome) -> list[dict[str, Any]]:
        """Connects, and hands these in; what the client was given of them."""
        self._pause()
        self.follower.tell(Connected())
        return self.hears(*outcomes)

    def hears(self, *outcomes: Outcome) -> list[dict[str, Any]]:
        given: list[dict[str, Any]] = []
        for outcome in outcomes:
            assert isinstance(self.follower.step, Receive)
            self.follower.tell(outcome)
            while self.follower.ready:
                given.append(self.follower.take())
        return given

    def fails(self, outcome: Outcome) -> None:
        """The next attempt to connect fails so."""
        self._pause()
        self.follower.tell(outcome)

    def _pause(self) -> None:
        if isinstance(self.follower.step, Pause):
            self.pauses.append(self.follower.step.seconds)
            self.talk.now += self.follower.step.seconds
            self.follower.tell(None)


def shown(told: Told) -> dict[str, Any] | None:
    content: dict[str, Any] = json.loads(told.json)
    return content


class Whims(Protocol):
    """What the model does where the protocol leaves it free; every answer is the test's."""

    def cuts(self) -> bool: ...

    def falls_behind(self) -> bool: ...

    def says_heartbeat(self) -> bool: ...

    def sends_book(self) -> bool: ...

    def frame_size(self) -> int: ...

    def starts_earlier(self) -> int: ...


class ModelFeed:
    """A log of positions with some messages each, served as the contract says: everything after a position, `more` on
    all but the last message of a position, and cut, thrown back or chunked at any point."""

    def __init__(self, messages_at: Sequence[int], whims: Whims) -> None:
        self.messages = [
            message(position, more=place < count - 1, place=place)
            for position, count in enumerate(messages_at, start=1)
            for place in range(count)
        ]
        self.head = len(messages_at)
        self._whims = whims

    def serve(self, after: int) -> Iterator[Frame]:
        """Until it cuts, or everything was sent; ends with a heartbeat in the second case."""
        pending: list[dict[str, Any]] = []
        for told in self._told(max(0, after - self._whims.starts_earlier())):
            pending.append(told)
            if len(pending) >= self._whims.frame_size():
                yield frame(*pending)
                pending = []
            if self._whims.cuts():
                return
        if pending:
            yield frame(*pending, listed=True)
        yield frame(control("heartbeat", self.head))

    def _told(self, after: int) -> Iterator[dict[str, Any]]:
        complete = after
        rest = [one for one in self.messages if one["position"] > after]
        while rest:
            one = rest.pop(0)
            yield one
            if "more" not in one:
                complete = one["position"]
                if self._whims.says_heartbeat():
                    yield control("heartbeat", complete)
                if self._whims.sends_book():
                    yield control("book", complete)
            if self._whims.falls_behind():
                yield control("fell_behind", complete)
                rest = [again for again in self.messages if again["position"] > complete]
        yield control("caught_up", self.head)
