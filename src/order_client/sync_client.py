"""The client for threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from ssl import SSLContext
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from order_client.bounds import CALL_TIMEOUT_S
from order_client.conversation import Conversation, Outcome, Pause, Send, Servers
from order_client.desk import Desk, Pages
from order_client.errors import OrderClientError, Refused
from order_client.following import Follower, wanted
from order_client.messages import Message, Told, json_of, message_of
from order_client.options import (
    KeyedTerms,
    NewTerms,
    OneOrder,
    OrderFilters,
    OrderId,
    StreamOptions,
    Terms,
    TradeFilters,
)
from order_client.resources import Book, Change, HistoryEvent, Instrument, Order, Trade
from order_client.sync_stream import Stream
from order_client.wire import answer_of, http_options, request_options, shown_headers, unanswered

T = TypeVar("T")


class OrderClient:
    """Orders at the service at `base_url`; of several addresses of one service, the next is tried where one cannot be
    reached. Close it, or use it as a context manager. Threads may share it.

    A call repeats itself, with growing pauses, while nobody answers or the service says that it cannot just now, as
    long as `timeout_s` allows; an order is placed with a key, so that repeats never make a second one. With
    `reads_keep_word`, a read never answers with less than this client has written or seen before, whichever process of
    the service answers. `api_key` is shown with every request; a token may stand there too. `headers` go with each as
    well, and `tls` says whose certificates are trusted, where those of the system are not enough. `on_repeat` hears why
    a call is repeated. Every call raises OrderClientError (`order_client.errors`); its keyword arguments are explained
    in `order_client.options`.
    """

    def __init__(
        self,
        base_url: str | Sequence[str],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        reads_keep_word: bool = True,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        tls: SSLContext | None = None,
        on_repeat: Callable[[OrderClientError], None] | None = None,
    ) -> None:
        self._desk = Desk(Servers(base_url), timeout_s=timeout_s, keeps_word=reads_keep_word, on_repeat=on_repeat)
        self._headers = shown_headers(headers, api_key)
        self._tls = tls
        self._http = httpx.Client(**http_options(self._headers, tls))

    @property
    def position(self) -> int:
        """The highest position of the log that this client has seen."""
        return self._desk.position

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def place(
        self, *, client_order_id: str | None = None, timeout_s: float | None = None, **terms: Unpack[Terms]
    ) -> Order:
        """The order, which is durable when this returns; a key that was used before finds its order as it is now.

        Without `client_order_id` it gets a key of its own. Raises Invalid, Conflict, and InDoubt where nobody answered
        in time and the order may exist. Each error has the `client_order_id`: placing again with it is safe.
        """
        return self._run(self._desk.place(terms, client_order_id, timeout_s))

    def place_many(self, orders: Sequence[KeyedTerms], *, timeout_s: float | None = None) -> Sequence[Order | Refused]:
        """Many orders, a thousand at most, durable together in one commit; in order, each order or why it was refused.
        A refused one keeps no other from being placed, and its error is returned, not raised.

        Orders without `client_order_id` get keys of their own. Raises Invalid where the list is empty or too long, and
        InDoubt where nobody answered in time and they may exist. Each error has the `client_order_ids`: placing again
        with them is safe.
        """
        return self._run(self._desk.place_many(orders, timeout_s))

    def cancel(self, order_id: OrderId, *, timeout_s: float | None = None) -> Change:
        """Cancels an order; the service waits up to 2 s for the exchange. Raises NotFound, OrderEnded, Conflict."""
        return self._run(self._desk.cancel(order_id, timeout_s))

    def replace(self, order_id: OrderId, *, timeout_s: float | None = None, **terms: Unpack[NewTerms]) -> Change:
        """Changes quantity or price; the service waits up to 2 s for the exchange. Raises NotFound, OrderEnded,
        Conflict, Invalid, and InDoubt where no answer came: it is not repeated, since another client's replace may have
        come in between."""
        return self._run(self._desk.replace(order_id, terms, timeout_s))

    def get(self, order_id: OrderId, **asked: Unpack[OneOrder]) -> Order:
        """One order as it is, or as it was. Raises NotFound."""
        return self._run(self._desk.get(order_id, asked))

    def history(self, order_id: OrderId, **asked: Unpack[OneOrder]) -> Iterator[HistoryEvent]:
        """What happened to an order, oldest first. Raises NotFound."""
        return self._rows(self._desk.history(order_id, asked))

    def list(self, **filters: Unpack[OrderFilters]) -> Iterator[Order]:
        """Orders, newest first, page by page as they are taken."""
        return self._rows(self._desk.orders(filters))

    def trades(self, **filters: Unpack[TradeFilters]) -> Iterator[Trade]:
        """Fills that count, newest first, page by page as they are taken."""
        return self._rows(self._desk.trades(filters))

    def book(self, symbol: str, *, levels: int | None = None, min_position: int | None = None) -> Book:
        """The open limit orders of a symbol by price. Raises NotFound."""
        return self._run(self._desk.book(symbol, levels, min_position))

    def instruments(self) -> Sequence[Instrument]:
        """What can be traded."""
        return self._run(self._desk.instruments())

    def present_position(self) -> int:
        """How far the service's feed is: a stream after it begins now."""
        return self._run(self._desk.present_position())

    def stream(self, *, after: int | None = None, **options: Unpack[StreamOptions]) -> Stream[Message]:
        """What happens after a position, then live; without `after` from now on. It resumes by itself, and neither
        loses nor repeats a message (snapshots of books come anew). Raises Invalid, Unreachable, StreamLost."""
        return self._stream(after, options, message_of)

    def stream_json(self, *, after: int | None = None, **options: Unpack[StreamOptions]) -> Stream[bytes]:
        """`stream`, with each message's JSON as it came."""
        return self._stream(after, options, json_of)

    def _stream(self, after: int | None, options: StreamOptions, read: Callable[[Told], T | None]) -> Stream[T]:
        desk, what = self._desk, wanted(options)

        def begin() -> Follower[T]:
            start = self.present_position() if after is None else after
            return Follower(desk, what, start, read)

        return Stream(begin, self._headers, self._tls)

    def _rows(self, pages: Pages[T]) -> Iterator[T]:
        for page in pages:
            yield from self._run(page)

    def _run(self, conversation: Conversation[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = conversation.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            outcome = self._carry_out(step)

    def _carry_out(self, step: Send | Pause) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return answer_of(self._http.request(**request_options(step)))
        except httpx.RequestError as error:
            return unanswered(error)
