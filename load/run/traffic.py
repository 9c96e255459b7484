"""The requests of a scenario: each leaves when it is meant to, or as soon afterwards as its user is free."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from load.http_client import ANSWER_TIMEOUT_S, Answer, BrokenAnswer, Connection, request
from load.open_loop import MAX_WAITING, connected
from load.run.ledger import Ledger
from load.run.meter import Meter
from load.run.users import Action, Told, User
from load.scenarios import Phase, Scenario

Headers = tuple[tuple[str, str], ...]
_POSITION = b"orders-position:"
_told = msgspec.json.Decoder(Told)


class Target(Struct, frozen=True, kw_only=True):
    """Where requests go: `headers` are sent with each, the key of an account for example; `tls` where it is https."""

    base_url: str
    headers: Headers = ()
    tls: ssl.SSLContext | None = None

    @property
    def host(self) -> str:
        """For the Host header."""
        return urlsplit(self.base_url).netloc

    async def connect(self) -> Connection:
        """Raises ServerGone."""
        return await connected(*address_of(self.base_url), self.tls)

    def message(self, action: Action) -> bytes:
        return request(action.method, self.host, action.target, action.body, self.headers)


class _Turn(Struct, frozen=True):
    number: int
    due_s: float
    phase: int


class Traffic:
    """`run` carries the scenario out. `on_phase` is called before each phase, with its number; `position` is the
    highest of the log that an answer named. For one event loop."""

    def __init__(
        self,
        scenario: Scenario,
        target: Target,
        seed: str,
        meter: Meter,
        ledger: Ledger,
        on_phase: Callable[[int], Awaitable[None]],
    ) -> None:
        self.position = 0
        self._scenario = scenario
        self._target = target
        self._meter, self._ledger = meter, ledger
        self._on_phase = on_phase
        self._users = [User(scenario, seed) for _ in range(scenario.users)]
        queues = scenario.users if scenario.model == "users" else 1
        self._queues: list[asyncio.Queue[_Turn]] = [asyncio.Queue() for _ in range(queues)]
        self._began = 0.0

    @property
    def waiting(self) -> int:
        """Requests whose time has come, and whose user is busy."""
        return sum(queue.qsize() for queue in self._queues)

    @property
    def now_s(self) -> float:
        """Since the beginning, which is when the first request was meant to leave."""
        return asyncio.get_running_loop().time() - self._began

    async def run(self) -> None:
        """Returns when all are answered. Raises ServerGone."""
        links = await asyncio.gather(*(self._target.connect() for _ in self._users))
        self._began = asyncio.get_running_loop().time()
        working = [
            asyncio.ensure_future(self._work(user, link, self._queues[number % len(self._queues)]))
            for number, (user, link) in enumerate(zip(self._users, links, strict=True))
        ]
        sending = asyncio.ensure_future(self._send())
        try:
            await asyncio.wait([*working, sending], return_when=asyncio.FIRST_COMPLETED)
            for one in working:
                if one.done():
                    one.result()
            sending.result()
        finally:
            for one in (*working, sending):
                one.cancel()
            await asyncio.gather(*working, sending, return_exceptions=True)

    async def _send(self) -> None:
        number, begin_s = 0, 0.0
        for index, phase in enumerate(self._scenario.phases):
            await self._on_phase(index)
            number = await self._schedule(index, phase, begin_s, number)
            begin_s += phase.seconds
        if (left_s := begin_s - self.now_s) > 0:
            await asyncio.sleep(left_s)
        for queue in self._queues:
            await queue.join()

    async def _schedule(self, index: int, phase: Phase, begin_s: float, first: int) -> int:
        """The number of the next phase's first request."""
        requests = round(phase.seconds * phase.per_second)
        for offset in range(requests):
            due_s = begin_s + offset / phase.per_second
            if (wait_s := due_s - self.now_s) > 0:
                await asyncio.sleep(wait_s)
            self._meter.meant(due_s, index)
            if self.waiting >= MAX_WAITING:
                self._meter.dropped(index, self.now_s)
            else:
                number = first + offset
                self._queues[number % len(self._queues)].put_nowait(_Turn(number, due_s, index))
        return first + requests

    async def _work(self, user: User, link: Connection, queue: asyncio.Queue[_Turn]) -> None:
        try:
            while True:
                turn = await queue.get()
                action = user.choose(turn.number)
                self._ledger.sends(action)
                try:
                    async with asyncio.timeout(ANSWER_TIMEOUT_S):
                        answer = await link.ask(self._target.message(action))
                except (BrokenAnswer, TimeoutError) as error:
                    reason = str(error) or "no answer in time"
                    self._meter.lost(action.operation, turn.phase, turn.due_s, self.now_s, reason)
                    link.close()
                    link = await self._target.connect()
                else:
                    self._meter.answered(action.operation, turn.phase, turn.due_s, self.now_s, answer.status)
                    self._took(user, action, answer)
                finally:
                    queue.task_done()
        finally:
            link.close()

    def _took(self, user: User, action: Action, answer: Answer) -> None:
        succeeded = answer.status < 300 and action.operation != "list"
        told = _told.decode(answer.body) if succeeded else Told()
        self.position = max(self.position, position_of(answer))
        user.took(action, answer.status, told)
        if action.operation == "place":
            self._ledger.answered(action.key, answer.status, told.order_id)
        elif action.operation == "cancel" and answer.status == 200:
            self._ledger.canceled[action.order_id] = told.status


def address_of(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def position_of(answer: Answer) -> int:
    """Of `Orders-Position`; 0 where the answer has none."""
    head = answer.head.lower()
    at = head.find(_POSITION)
    return int(head[at + len(_POSITION) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
