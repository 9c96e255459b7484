"""Orders with real histories: commands decided by the domain and appended to a store, without the service around."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from hypothesis import strategies as st

from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.errors import Refusal
from orders.domain.instruments import BUILT_IN, Catalogue
from orders.domain.order import Order, evolve
from orders.domain.terms import Rules
from orders.domain.values import EXACT, Capabilities, OrderType, Side
from orders.eventstore.port import Appended, EventStore, Recorded, Unit

OPENING = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
CAPABLE = Capabilities(deduplicates=True, queries=True, cancels=True, replaces=True, reports=True)

Step = tuple[int, type[c.Command], dict[str, Any]]


class TradingDesk:
    """Every command comes `pace` after the one before. `orders` are the orders as they are, in order of placing."""

    def __init__(
        self,
        store: EventStore,
        *,
        account: str = "local",
        pace: timedelta = timedelta(seconds=1),
        catalogue: Catalogue = BUILT_IN,
    ) -> None:
        self.store = store
        self.orders: dict[UUID, Order] = {}
        self._account = account
        self._rules = Rules(venue=CAPABLE, catalogue=catalogue)
        self._now = OPENING
        self._pace = pace

    def place(self, symbol: str = "EURUSD", quantity: int = 100, price: str | None = None, **more: Any) -> UUID:
        """A market order, or a limit order where there is a price."""
        order_id, key = uuid4(), more.pop("client_order_id", None)
        more["instrument" if len(symbol) == 12 else "symbol"] = symbol
        if price is not None:
            more |= {"type": OrderType.LIMIT, "limit_price": Decimal(price)}
        terms = c.Terms(quantity=quantity, **more)
        self._give(None, c.PlaceOrder(account=self._account, terms=terms, client_order_id=key, **self._who(order_id)))
        return order_id

    def do(self, order_id: UUID, kind: type[c.Command], **fields: Any) -> bool:
        """Whether the order took the command."""
        try:
            self._give(self.orders[order_id], kind(**self._who(order_id), **fields))
        except Refusal:
            return False
        return True

    def fill(self, order_id: UUID, quantity: int, price: str = "1.10000", exec_id: str | None = None) -> None:
        assert self.do(
            order_id, c.RecordExecution, exec_id=exec_id or str(uuid4()), quantity=quantity, price=Decimal(price)
        )

    def cancel(self, order_id: UUID) -> None:
        assert self.do(order_id, c.CancelOrder)

    def log(self) -> list[Recorded]:
        return self.store.read_log(after=0, limit=1_000_000)

    def _who(self, order_id: UUID) -> dict[str, Any]:
        self._now += self._pace
        return {"order_id": order_id, "command_id": uuid4(), "at": self._now, "by": "tests"}

    def _give(self, order: Order | None, command: c.Command) -> None:
        events = decide(order, command, self._rules)
        if not events:
            return
        version = 0 if order is None else order.version
        (answer,) = self.store.append([Unit(command.order_id, version, tuple(events))])
        assert isinstance(answer, Appended)
        for event in events:
            order = evolve(command.order_id, order, event)
        assert order is not None
        self.orders[command.order_id] = order

    def play(self, steps: Sequence[Step], orders: Sequence[UUID]) -> None:
        """Gives each command to the order of that number; what is refused is no part of the history."""
        for number, kind, fields in steps:
            self.do(orders[number % len(orders)], kind, **fields)


_exec_ids = st.sampled_from(["e1", "e2", "e3", "e4"])
_quantities = st.integers(1, 60)
_long_prices = st.integers(10**39, 10**40 - 1).map(lambda ticks: Decimal(ticks).scaleb(-20, EXACT))
_prices = st.integers(1, 10**12).map(lambda ticks: Decimal(ticks).scaleb(-5)) | _long_prices


def _step(kind: type[c.Command], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.integers(0, 5), st.just(kind), st.fixed_dictionaries(dict(fields)))


steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        _step(c.CancelOrder),
        _step(c.ReplaceOrder, quantity=_quantities),
        _step(c.StartSubmit, worker=st.just("w")),
        _step(c.RecordSubmitInDoubt, attempt=st.integers(1, 2), reason=st.just("timeout")),
        _step(c.RecordSubmitFailed, attempts=st.just((1, 2)), reason=st.just("no")),
        _step(c.RecordAccepted),
        _step(c.RecordRejected, reason=st.just("refused"), attempt=st.sampled_from([None, 1, 2])),
        _step(c.RecordExecution, exec_id=_exec_ids, quantity=_quantities, price=_prices),
        _step(c.RecordExecution, exec_id=_exec_ids, quantity=_quantities, price=_prices),
        _step(c.RecordBust, exec_id=_exec_ids, ref_exec_id=_exec_ids),
        _step(c.RecordCorrection, exec_id=_exec_ids, ref_exec_id=_exec_ids, quantity=_quantities, price=_prices),
        _step(c.RecordCanceled),
        _step(c.RecordReplaced, quantity=_quantities),
        _step(c.RecordExpired),
        _step(c.ParkPlacement, reason=st.just("parked")),
        _step(c.ResumePlacement, reason=st.just("resumed")),
    ),
    max_size=40,
)
"""Random commands to a handful of orders, reports that are repeated, reordered, busted and corrected among them."""

reports: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        _step(c.RecordExecution, exec_id=_exec_ids, quantity=_quantities, price=_prices),
        _step(c.RecordBust, exec_id=_exec_ids, ref_exec_id=_exec_ids),
        _step(c.RecordCorrection, exec_id=_exec_ids, ref_exec_id=_exec_ids, quantity=_quantities, price=_prices),
    ),
    max_size=12,
)
"""Fills of a handful of orders, and what refers to them before they come and after."""

sides = st.sampled_from(Side)
