"""A simple blocking client of the simulated exchange's wire (docs/reference/simulated-exchange.md)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any

Message = dict[str, Any]

ANSWER_WITHIN_S = 10.0  # far more than a commit takes


class ExchangeClient:
    """One connection. `address` is a Unix socket's path or host:port."""

    def __init__(self, address: str, *, within_s: float = ANSWER_WITHIN_S) -> None:
        host, colon, port = address.rpartition(":")
        if colon and "/" not in address:
            self.socket = socket.create_connection((host, int(port)), timeout=within_s)
        else:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(within_s)
            try:
                self.socket.connect(address)
            except OSError:
                self.socket.close()
                raise
        self._lines = self.socket.makefile("rb")
        self._last_id = 0

    def __enter__(self) -> ExchangeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self.socket.close()

    def send(self, **request: Any) -> int:
        """Sends a request without waiting; its id."""
        self._last_id += 1
        self.send_bytes(json.dumps({"id": self._last_id, **request}).encode() + b"\n")
        return self._last_id

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> Message:
        """The next line. EOFError where the connection has ended."""
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the exchange has closed the connection")
        message: Message = json.loads(line)
        return message

    def call(self, op: str, **request: Any) -> Message:
        """Sends one request and gives its answer, without the id."""
        key = self.send(op=op, **request)
        answer = self.receive()
        assert answer.pop("id") == key, answer
        return answer

    def call_many(self, requests: list[Message]) -> list[Message]:
        """Sends all at once; the answers in the order of the requests."""
        first = self._last_id + 1
        lines = [json.dumps({"id": first + place, **request}) for place, request in enumerate(requests)]
        self._last_id += len(requests)
        self.send_bytes("".join(f"{line}\n" for line in lines).encode())
        answers = {answer["id"]: answer for answer in (self.receive() for _ in requests)}
        return [answers[first + place] for place in range(len(requests))]

    def submit(self, order_id: str, **terms: Any) -> Message:
        return self.call(**submission(order_id, **terms))

    def cancel(self, order_id: str, request_id: str, base: str | None = None) -> Message:
        return self.call("cancel", order_id=order_id, request_id=request_id, base=base or order_id)

    def replace(self, order_id: str, request_id: str, base: str | None = None, **terms: Any) -> Message:
        return self.call("replace", order_id=order_id, request_id=request_id, base=base or order_id, **terms)

    def query(self, order_id: str, **more: Any) -> Message:
        return self.call("query", order_id=order_id, **more)

    def reports(self, after: int = 0, *, journal: str | None = None) -> Message:
        """Starts the stream; `stream` gives what comes."""
        return self.call("reports", after=after, journal=journal)

    def stream(self) -> Iterator[Message]:
        """Reports and heartbeats, for ever."""
        while True:
            yield self.receive()

    def take_reports(self, count: int) -> list[Message]:
        """So many reports, heartbeats left out."""
        taken: list[Message] = []
        while len(taken) < count:
            message = self.receive()
            if message["kind"] != "heartbeat":
                taken.append(message)
        return taken


def submission(order_id: str, **terms: Any) -> Message:
    """A submit: a market order to buy 10 EURUSD unless the terms say otherwise; with a price a limit order."""
    order_type = "market" if terms.get("limit_price") is None else "limit"
    return {
        "op": "submit",
        "order_id": order_id,
        "symbol": "EURUSD",
        "side": "buy",
        "type": order_type,
        "quantity": 10,
        "limit_price": None,
        "time_in_force": "gtc",
        **terms,
    }
