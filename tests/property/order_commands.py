"""Any command, for an order in any state: mostly what could be said of it, sometimes what could not."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from orders.domain import commands as c
from orders.domain.order import Order
from orders.domain.values import Capabilities, Evidence, OrderType, Side, TimeInForce

ORDER_ID = UUID("0192d3a0-0000-7000-8000-000000000001")
AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
UNKNOWN_REQUEST = UUID("0192d3a0-0000-7000-8000-00000000ffff")

QUANTITIES = st.integers(1, 12)
FILLED = st.integers(0, 12)
PRICES = st.sampled_from([Decimal("1.10"), Decimal("1.1"), Decimal("0.99999"), Decimal("1.20001"), Decimal("100")])
FILL_PRICES = st.sampled_from(
    [Decimal(price) for price in ("1.10", "1.1", "0.99999", "1.20001", "100", "1E+2", "-37.63", "1.083500000000000001")]
    + [Decimal(no_price) for no_price in ("NaN", "sNaN", "Infinity", "1E+300", "1E-300")]
)
EXEC_IDS = st.sampled_from("ABCDEF")
REASONS = st.sampled_from(["busy", "halt"])
LEAVES = st.none() | st.integers(0, 3)
VENUES_WORD = st.sampled_from([Evidence.VENUE_ANSWER, Evidence.VENUE_REPORT, Evidence.VENUE_QUERY] * 4 + list(Evidence))

capabilities = st.builds(
    Capabilities,
    deduplicates=st.booleans(),
    queries=st.booleans(),
    cancels=st.booleans(),
    replaces=st.booleans(),
)


@st.composite
def placements(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of a PlaceOrder that is acceptable."""
    limit = draw(st.booleans())
    name = draw(st.sampled_from([{"symbol": "EURUSD"}, {"symbol": "USDCAD"}]))
    terms = c.Terms(
        **name,
        quantity=draw(QUANTITIES),
        side=draw(st.sampled_from(Side)),
        type=OrderType.LIMIT if limit else OrderType.MARKET,
        limit_price=draw(PRICES) if limit else None,
        time_in_force=draw(st.sampled_from(TimeInForce)),
    )
    return {"account": "local", "terms": terms, "client_order_id": draw(st.none() | st.just("desk-1"))}


def attempts_of(order: Order) -> st.SearchStrategy[int]:
    return st.integers(1, order.attempts + 1)


def limit_prices(order: Order) -> st.SearchStrategy[Decimal | None]:
    return st.none() if order.placed.type is OrderType.MARKET else PRICES


def client_commands(order: Order) -> st.SearchStrategy[tuple[type[c.Command], dict[str, Any]]]:
    wanted = {"quantity": st.none() | st.integers(0, 20), "limit_price": st.none() | PRICES}
    return st.one_of(_said(c.CancelOrder), _said(c.ReplaceOrder, **wanted))


def call_outcomes(order: Order) -> st.SearchStrategy[tuple[type[c.Command], dict[str, Any]]]:
    several = st.lists(attempts_of(order), max_size=3).map(tuple)
    return st.one_of(
        _said(c.StartSubmit, worker=st.just("worker-1")),
        _said(c.RecordSubmitInDoubt, attempt=attempts_of(order), reason=REASONS),
        _said(c.RecordSubmitFailed, attempts=several, reason=REASONS, evidence=VENUES_WORD),
        _said(c.RecordAccepted, venue_order_id=st.none() | st.just("V-1"), evidence=VENUES_WORD),
    )


def venue_words(order: Order, requests: list[UUID]) -> st.SearchStrategy[tuple[type[c.Command], dict[str, Any]]]:
    """Ends, and answers to requests: to one that waits, to an old one, or to one that nobody knows."""
    request = st.sampled_from([None, UNKNOWN_REQUEST, *requests])
    of_request = {"request_id": request, "evidence": VENUES_WORD}
    return st.one_of(
        _said(c.RecordRejected, reason=REASONS, evidence=VENUES_WORD),
        _said(c.RecordExpired, reason=st.none() | REASONS, evidence=VENUES_WORD),
        _said(c.RecordCanceled, reason=st.none() | REASONS, **of_request),
        _said(c.RecordCancelRejected, reason=REASONS, **of_request),
        _said(c.RecordReplaceRejected, reason=REASONS, **of_request),
        _said(c.RecordReplaced, quantity=st.integers(0, 20), limit_price=limit_prices(order), **of_request),
    )


def executions() -> st.SearchStrategy[tuple[type[c.Command], dict[str, Any]]]:
    """Fills, busts and corrections under few ids, so that repeats, chains and references to the unknown are many."""
    refers = {"exec_id": EXEC_IDS, "ref_exec_id": EXEC_IDS}
    fill = {"quantity": FILLED, "price": FILL_PRICES}
    return st.one_of(
        _said(c.RecordExecution, exec_id=EXEC_IDS, leaves=LEAVES, evidence=VENUES_WORD, **fill),
        _said(c.RecordExecution, exec_id=EXEC_IDS, leaves=LEAVES, evidence=VENUES_WORD, **fill),
        _said(c.RecordBust, **refers),
        _said(c.RecordCorrection, **refers, **fill),
    )


def operator_commands() -> st.SearchStrategy[tuple[type[c.Command], dict[str, Any]]]:
    return st.one_of(
        _said(c.ExpireUnsent),
        _said(c.ParkPlacement, reason=REASONS),
        _said(c.ResumePlacement, reason=REASONS),
        _said(c.ResolveDoubt, placed=st.booleans(), reason=REASONS),
    )


def _said(
    kind: type[c.Command], **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[tuple[type[c.Command], dict[str, Any]]]:
    return st.tuples(st.just(kind), st.fixed_dictionaries(fields))
