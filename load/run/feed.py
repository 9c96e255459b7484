"""What sockets are told while a load runs: each event once, in order, and how long after it happened.

The sockets are raw on purpose: a client that leaves out what comes twice would hide it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from datetime import datetime

import msgspec
from msgspec import Struct
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from load.balance import Findings, state_of
from load.run.latencies import Latencies
from load.run.traffic import Target
from order_client.messages import told
from order_client.wire import CONNECT_ERRORS, socket_options

RECONNECT_S = 0.2
ENDED = frozenset({"Executed", "Canceled", "Expired", "Rejected"})
AT_EXCHANGE = frozenset({"OrderAccepted", "OrderExecuted"})


class Heard(Struct):
    """What is read of a message; those without an `event` are none of an order."""

    position: int
    event: str = ""
    order_id: str = ""
    client_order_id: str | None = None
    status: str = ""
    delivery: str = ""
    filled_quantity: int = 0
    type: str = ""
    time: datetime | None = None


class LastWord(Struct, frozen=True):
    status: str
    filled_quantity: int


_heard = msgspec.json.Decoder(Heard)


class FeedRecord:
    """What one socket was told of the orders whose keys begin with `prefix`. Others share the feed, and are left out.

    `delays` are from an order's own time, which it has before its commit, to the arrival of its OrderPlaced here.
    """

    def __init__(self, prefix: str, after: int) -> None:
        self.position = after
        self.messages = 0
        self.placed: set[str] = set()
        self.last_words: dict[str, LastWord] = {}
        self.findings = Findings()
        self._prefix = prefix

    def take(self, heard: Heard) -> bool:
        """Whether it is of an order of the load, and new."""
        if not heard.event:
            return False
        if heard.position <= self.position:
            self.findings.add("told twice", f"position {heard.position} came after {self.position}")
            return False
        self.position = heard.position
        if not (heard.client_order_id or "").startswith(self._prefix):
            return False
        self.messages += 1
        if heard.event == "OrderPlaced":
            if heard.order_id in self.placed:
                self.findings.add("told twice", f"{heard.order_id} was placed once more at {heard.position}")
            self.placed.add(heard.order_id)
        self.last_words[heard.order_id] = LastWord(heard.status, heard.filled_quantity)
        return True


class OrderLives:
    """How the load's orders fare, as one socket with detail=true is told. Times are the service's own."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.accepted_to_placed = Latencies()
        self.accepted_to_filled = Latencies()
        self._state: dict[str, str] = {}
        self._accepted_at: dict[str, datetime] = {}
        self._placed: set[str] = set()
        self._unfilled: set[str] = set()

    def take(self, heard: Heard) -> None:
        if heard.type == "market" and heard.status == "Placed":
            self._unfilled.add(heard.order_id)
        else:
            self._unfilled.discard(heard.order_id)
        state = state_of({"status": heard.status, "delivery": heard.delivery}) or "unknown"
        before = self._state.get(heard.order_id)
        if before is not None:
            self.states[before] -= 1
        self.states[state] += 1
        self._state[heard.order_id] = state
        if heard.time is None:
            return
        if heard.event == "OrderPlaced":
            self._accepted_at[heard.order_id] = heard.time
            return
        since = self._accepted_at.get(heard.order_id)
        if since is None:
            return
        took_s = (heard.time - since).total_seconds()
        if heard.event in AT_EXCHANGE and heard.order_id not in self._placed:
            self._placed.add(heard.order_id)
            self.accepted_to_placed.add(took_s)
        if heard.event == "OrderExecuted" and heard.status == "Executed":
            self.accepted_to_filled.add(took_s)

    @property
    def waiting(self) -> int:
        """Orders that the exchange has not got, or of which nobody knows: also those that wait for a person."""
        return sum(self.states[state] for state in ("queued", "sending", "in_doubt", "parked", "unknown"))

    @property
    def unfilled(self) -> int:
        """Market orders that are not done."""
        return len(self._unfilled)


class Socket:
    """One client of /ws?after=N. It comes back where it was cut, and counts that in `cuts`."""

    def __init__(self, target: Target, after: int, *, detail: bool, on_message: Callable[[Heard], None]) -> None:
        self.cuts = 0
        self._url = f"{target.base_url.replace('http', 'ws', 1)}/ws?batch=true{'&detail=true' if detail else ''}"
        self._options = socket_options(dict(target.headers), target.tls)
        self._position = after
        self._on_message = on_message
        self.caught_up = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            with suppress(ConnectionClosed, *CONNECT_ERRORS):
                async with connect(f"{self._url}&after={self._position}", **self._options) as socket:
                    async for frame in socket:
                        self._take(frame)
            self.cuts += 1
            await asyncio.sleep(RECONNECT_S)

    def _take(self, frame: str | bytes) -> None:
        for one in told(frame):
            if one.kind == "caught_up":
                self.caught_up.set()
            self._on_message(_heard.decode(one.json))
            self._position = max(self._position, one.position)


class Audience:
    """All sockets of a load: each has a record, and the first one hears all details."""

    def __init__(
        self,
        target: Target,
        *,
        sockets: int,
        prefix: str,
        after: int,
        on_delay: Callable[[float], None],
    ) -> None:
        self.lives = OrderLives()
        self.delays = Latencies()
        self.records = [FeedRecord(prefix, after) for _ in range(sockets)]
        self._on_delay = on_delay
        self._sockets = [
            Socket(target, after, detail=number == 0, on_message=self._hearing(record, detail=number == 0))
            for number, record in enumerate(self.records)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def cuts(self) -> int:
        return sum(socket.cuts for socket in self._sockets)

    async def start(self, timeout_s: float) -> None:
        """Returns when all sockets follow live. Raises TimeoutError, or UnexpectedAnswer of order_client."""
        self._tasks = [asyncio.create_task(socket.run()) for socket in self._sockets]
        async with asyncio.timeout(timeout_s):
            for socket in self._sockets:
                await socket.caught_up.wait()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def waiting(self, accepted: Set[str]) -> int:
        """Orders that wait for the exchange, as the first socket was told. An accepted order that it has not been told
        of waits, too: of a feed that stands still nothing follows."""
        return self.lives.waiting + len(accepted - self.records[0].placed)

    def behind(self, orders: Mapping[str, LastWord]) -> bool:
        """Whether a socket has not yet been told all of these."""
        return any(
            record.last_words.get(order_id) != word for record in self.records for order_id, word in orders.items()
        )

    def _hearing(self, record: FeedRecord, *, detail: bool) -> Callable[[Heard], None]:
        def hear(heard: Heard) -> None:
            if not record.take(heard):
                return
            if detail:
                self.lives.take(heard)
            if heard.event == "OrderPlaced" and heard.time is not None:
                delay_s = time.time() - heard.time.timestamp()
                self.delays.add(delay_s)
                self._on_delay(delay_s)

        return hear
