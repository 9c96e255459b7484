"""What the clients of both forms do at the service: one conversation a call."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from threading import Lock
from typing import Any, Generic, TypeVar
from uuid import uuid4

from order_client import requests
from order_client.answers import Answer, content, results
from order_client.bounds import MAX_PAGE
from order_client.conversation import Call, Conversation, Servers
from order_client.errors import Conflict, OrderClientError, OrderEnded, Refused
from order_client.options import KeyedTerms, NewTerms, OneOrder, OrderFilters, OrderId, Terms, TradeFilters
from order_client.requests import Request
from order_client.resources import Book, Change, HistoryEvent, Instrument, Order, Trade

T = TypeVar("T")


class Desk:
    """Where the service is, and the highest position that was seen of its log: reads ask for that, so that they never
    answer with less than this client knows already. `clock` is monotonic, `jitter` gives numbers from 0 to 1."""

    def __init__(
        self,
        servers: Servers,
        *,
        timeout_s: float,
        keeps_word: bool = True,
        on_repeat: Callable[[OrderClientError], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.servers = servers
        self.position = 0
        self.clock = clock
        self.jitter = jitter
        self._timeout_s = timeout_s
        self._keeps_word = keeps_word
        self._on_repeat = on_repeat or (lambda error: None)
        self._lock = Lock()  # a sync client may be used by many threads

    def saw(self, position: int) -> None:
        with self._lock:
            self.position = max(self.position, position)

    def ask(self, request: Request, timeout_s: float | None = None) -> Conversation[Answer]:
        """The answer, if it is a success. Raises OrderClientError."""
        allowed_s = self._timeout_s if timeout_s is None else timeout_s
        return Call(
            request,
            self.servers,
            allowed_s,
            saw=self.saw,
            on_repeat=self._on_repeat,
            clock=self.clock,
            jitter=self.jitter,
        ).run()

    def place(self, terms: Terms, client_order_id: str | None, timeout_s: float | None) -> Conversation[Order]:
        key = client_order_id or str(uuid4())
        try:
            return content((yield from self.ask(requests.placing(key, terms), timeout_s)), Order)
        except OrderClientError as error:
            error.client_order_id = key
            raise

    def place_many(self, orders: Sequence[KeyedTerms], timeout_s: float | None) -> Conversation[list[Order | Refused]]:
        keys = [terms.get("client_order_id") or str(uuid4()) for terms in orders]
        keyed = [{**terms, "client_order_id": key} for terms, key in zip(orders, keys, strict=True)]
        try:
            return results((yield from self.ask(requests.placing_many(keyed), timeout_s)), keys)
        except OrderClientError as error:
            error.client_order_ids = keys
            raise

    def cancel(self, order_id: OrderId, timeout_s: float | None) -> Conversation[Change]:
        try:
            return _change((yield from self.ask(requests.canceling(order_id), timeout_s)))
        except (OrderEnded, Conflict) as refused:
            # An earlier attempt without an answer may have done it: then this is no refusal.
            if not refused.after_doubt:
                raise
            order = yield from self.get(order_id, {})
            if order.status == "Canceled" or order.ord_status == "PendingCancel":
                return Change(order, order.status != "Canceled")
            raise

    def replace(self, order_id: OrderId, terms: NewTerms, timeout_s: float | None) -> Conversation[Change]:
        return _change((yield from self.ask(requests.replacing(order_id, terms), timeout_s)))

    def get(self, order_id: OrderId, asked: OneOrder) -> Conversation[Order]:
        request = requests.reading(requests.order_path(order_id), self._fresh(asked))
        return content((yield from self.ask(request)), Order)

    def history(self, order_id: OrderId, asked: OneOrder) -> Pages[HistoryEvent]:
        path = f"{requests.order_path(order_id)}/events"
        return Pages(self, requests.reading(path, self._fresh(asked)), list[HistoryEvent])

    def orders(self, filters: OrderFilters) -> Pages[Order]:
        return Pages(self, self._listing("/orders", filters), list[Order], filters.get("limit"))

    def trades(self, filters: TradeFilters) -> Pages[Trade]:
        return Pages(self, self._listing("/trades", filters), list[Trade], filters.get("limit"))

    def book(self, symbol: str, levels: int | None, min_position: int | None) -> Conversation[Book]:
        asked = self._fresh({"levels": levels, "min_position": min_position})
        return content((yield from self.ask(requests.reading(requests.book_path(symbol), asked))), Book)

    def instruments(self) -> Conversation[list[Instrument]]:
        return content((yield from self.ask(requests.reading("/instruments", {}))), list[Instrument])

    def present_position(self) -> Conversation[int]:
        """Where the service's live feed is; the highest position that this client knows of, where that is more."""
        yield from self.ask(requests.asking_position())
        return self.position

    def _listing(self, path: str, filters: Mapping[str, Any]) -> Request:
        limit = filters.get("limit")
        return requests.reading(
            path, self._fresh({**filters, "limit": None if limit is None else min(limit, MAX_PAGE)})
        )

    def _fresh(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """With the min_position that the caller names, or else the one that this client has seen."""
        known = self.position if self._keeps_word and self.position else None
        given = asked.get("min_position")
        return {**asked, "min_position": known if given is None else given}


class Pages(Generic[T]):
    """One conversation a page, as the Link headers lead; with `limit` so many rows at most in all."""

    def __init__(self, desk: Desk, request: Request, kind: type[list[T]], limit: int | None = None) -> None:
        self._desk = desk
        self._next: Request | None = request
        self._kind = kind
        self._left = limit

    def __iter__(self) -> Iterator[Conversation[list[T]]]:
        while self._next is not None and self._left != 0:
            yield self._page(self._next)

    def _page(self, request: Request) -> Conversation[list[T]]:
        answer = yield from self._desk.ask(request)
        rows = content(answer, self._kind)
        self._next = requests.following(answer.next_target)
        if self._left is not None:
            rows = rows[: self._left]
            self._left -= len(rows)
        return rows


def _change(answer: Answer) -> Change:
    return Change(content(answer, Order), answer.status == HTTPStatus.ACCEPTED)
