"""The client's core without a network: conversations whose other side is scripted, on a clock that only pauses move."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

from order_client.answers import Answer
from order_client.conversation import Conversation, Outcome, Pause, Send, Servers, Unanswered
from order_client.desk import Desk, Pages

T = TypeVar("T")

SERVER = "http://orders.test"
LOST = Unanswered("the connection was lost", sent=True)
REFUSED = Unanswered("connection refused", sent=False)
ORDER_ID = "01a1fbf5-6be5-77c8-a166-03d513a1a8b3"
EVENT_TIME = "2026-11-21T02:35:27.589691Z"


def shown_order(**fields: Any) -> dict[str, Any]:
    """An order as the service shows it."""
    return {
        "id": ORDER_ID,
        "order_id": ORDER_ID,
        "client_order_id": None,
        "symbol": "EURUSD",
        "instrument": None,
        "side": "buy",
        "type": "limit",
        "limit_price": "1.08000",
        "quantity": 10,
        "time_in_force": "gtc",
        "status": "Placed",
        "ord_status": "New",
        "filled_quantity": 0,
        "average_price": None,
        "delivery": "acked",
        "created_at": EVENT_TIME,
        "updated_at": EVENT_TIME,
        "executed_at": None,
        "version": 1,
        "position": 1,
        "new_in_a_later_release": [1],
        **fields,
    }


def answer(status: int, body: Any = None, next_page: str | None = None, **headers: str) -> Answer:
    named = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, json.dumps(body).encode(), next_page)


def problem(status: int, kind: str = "about", detail: str = "no", **headers: str) -> Answer:
    body = {"type": f"urn:problem-type:{kind}", "title": "t", "status": status, "detail": detail, "trace_id": "t-1"}
    return answer(status, body, **headers)


class Talk:
    """A desk whose requests are answered as scripted; `sent` and `pauses` are what it did. A request without an answer
    takes `lost_s` of the clock's time."""

    def __init__(self, *outcomes: Outcome, servers: str | Sequence[str] = SERVER, lost_s: float = 0.0, **options: Any):
        self.now = 0.0
        self.sent: list[Send] = []
        self.pauses: list[float] = []
        self._lost_s = lost_s
        self._outcomes = deque(outcomes)
        settings: dict[str, Any] = {"timeout_s": 30.0, "clock": lambda: self.now, "jitter": lambda: 1.0, **options}
        self.desk = Desk(Servers(servers), **settings)

    def then(self, *outcomes: Outcome) -> Talk:
        self._outcomes.extend(outcomes)
        return self

    def run(self, conversation: Conversation[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = conversation.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            outcome = self._carry_out(step)

    def rows(self, pages: Pages[T]) -> list[T]:
        return [row for page in pages for row in self.run(page)]

    def bodies(self) -> list[Any]:
        return [json.loads(send.request.body) for send in self.sent if send.request.body]

    def targets(self) -> list[str]:
        return [send.request.target for send in self.sent]

    def _carry_out(self, step: Send | Pause) -> Outcome:
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            self.now += step.seconds
            return None
        self.sent.append(step)
        outcome = self._outcomes.popleft() if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Unanswered) and outcome.sent:
            self.now += min(self._lost_s, step.timeout_s)
        return outcome
