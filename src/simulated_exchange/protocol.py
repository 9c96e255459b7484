"""What goes over the wire and into the journal: requests, answers, reports. The words are those of
docs/reference/simulated-exchange.md.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from simulated_exchange.bounds import MAX_ID_CHARACTERS, MAX_PRICE_DIGITS, PRICE_DECIMALS

Identifier = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARACTERS, pattern=r"^[!-~]+\Z")]
PriceText = Annotated[str, Meta(pattern=rf"^[0-9]{{1,{MAX_PRICE_DIGITS}}}(\.[0-9]{{1,{PRICE_DECIMALS}}})?\Z")]
RequestKey: TypeAlias = (
    Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | Annotated[str, Meta(max_length=MAX_ID_CHARACTERS)]
)
Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit"]
TimeInForce = Literal["gtc", "day", "ioc", "fok"]
State = Literal["working", "executed", "canceled", "expired", "rejected"]
Liquidity = Literal["book", "house"]

UNKNOWN_ORDER = "unknown order"
STALE_BASE = "stale base"
BAD_QUANTITY = "quantity is out of range"
BELOW_FILLED = "quantity is below what is filled"
PRICE_MISSING = "a limit order needs a limit_price"
PRICE_PROHIBITED = "a market order has no price"
BAD_PRICE = "limit_price is out of range"
BAD_SYMBOL = "symbol is not traded"
FULL = "the exchange is full"
DAY_ENDED = "day ended"
IMMEDIATE_OR_CANCEL = "immediate or cancel"
FILL_OR_KILL = "fill or kill"
NO_LIQUIDITY = "no liquidity"


class Request(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    id: RequestKey


class Submit(Request, frozen=True, tag="submit"):
    order_id: Identifier
    symbol: Annotated[str, Meta(max_length=MAX_ID_CHARACTERS)]
    side: Side
    type: OrderType
    quantity: int
    time_in_force: TimeInForce
    limit_price: PriceText | None = None


class Cancel(Request, frozen=True, tag="cancel"):
    order_id: Identifier
    request_id: Identifier
    base: Identifier


class Replace(Request, frozen=True, tag="replace"):
    order_id: Identifier
    request_id: Identifier
    base: Identifier
    quantity: int | None = None
    limit_price: PriceText | None = None


class Query(Request, frozen=True, tag="query"):
    order_id: Identifier
    executions_from: Annotated[int, Meta(ge=0)] = 0


class ReadReports(Request, frozen=True, tag="reports"):
    after: Annotated[int, Meta(ge=0)]
    journal: str | None = None


class Ping(Request, frozen=True, tag="ping"):
    pass


class Health(Request, frozen=True, tag="health"):
    pass


AnyRequest = Submit | Cancel | Replace | Query | ReadReports | Ping | Health
OPERATIONS = frozenset({"submit", "cancel", "replace", "query", "reports", "ping", "health"})


class HouseFill(Struct, frozen=True, tag_field="op", tag="house_fill"):
    """The house's delay for an order is over."""

    order_id: str


class DayEnd(Struct, frozen=True, tag_field="op", tag="day_end"):
    """The day of a day order is over."""

    order_id: str


class Bust(Struct, frozen=True, tag_field="op", tag="bust"):
    """An execution is made void, by a person's hand."""

    order_id: str
    exec_id: str


class Correct(Struct, frozen=True, tag_field="op", tag="correct"):
    """An execution gets another quantity and price, by a person's hand."""

    order_id: str
    exec_id: str
    quantity: int
    price: str


Input = Submit | Cancel | Replace | HouseFill | DayEnd | Bust | Correct  # what can change the state


class Report(Struct, frozen=True, tag_field="kind"):
    seq: int
    at: int
    order_id: str
    venue_order_id: str | None


class Terms(Report, frozen=True):
    symbol: str
    side: Side
    type: OrderType
    quantity: int
    limit_price: str | None
    time_in_force: TimeInForce


class AcceptedReport(Terms, frozen=True, tag="accepted"):
    pass


class RejectedReport(Terms, frozen=True, tag="rejected"):
    reason: str


class FilledReport(Report, frozen=True, tag="filled"):
    exec_id: str
    quantity: int
    price: str
    filled: int
    leaves: int
    liquidity: Liquidity


class CanceledReport(Report, frozen=True, tag="canceled"):
    request_id: str | None
    filled: int
    leaves: int
    reason: str | None = None


class ReplacedReport(Report, frozen=True, tag="replaced"):
    request_id: str
    base: str
    quantity: int
    limit_price: str | None
    filled: int
    leaves: int


class CancelRejectedReport(Report, frozen=True, tag="cancel_rejected"):
    request_id: str
    reason: str


class ReplaceRejectedReport(Report, frozen=True, tag="replace_rejected"):
    request_id: str
    reason: str


class ExpiredReport(Report, frozen=True, tag="expired"):
    reason: str
    filled: int
    leaves: int


class BustedReport(Report, frozen=True, tag="busted"):
    exec_id: str
    ref_exec_id: str
    filled: int
    leaves: int


class CorrectedReport(Report, frozen=True, tag="corrected"):
    exec_id: str
    ref_exec_id: str
    quantity: int
    price: str
    filled: int
    leaves: int


AnyReport = (
    AcceptedReport
    | RejectedReport
    | FilledReport
    | CanceledReport
    | ReplacedReport
    | CancelRejectedReport
    | ReplaceRejectedReport
    | ExpiredReport
    | BustedReport
    | CorrectedReport
)


class Answer(Struct, frozen=True, tag_field="outcome"):
    """A body without its `id`, which the connection puts in front."""


class Accepted(Answer, frozen=True, tag="accepted"):
    venue_order_id: str
    seq: int


class Rejected(Answer, frozen=True, tag="rejected", omit_defaults=True):
    reason: str
    seq: int | None = None


class Canceled(Answer, frozen=True, tag="canceled"):
    seq: int


class Replaced(Answer, frozen=True, tag="replaced"):
    quantity: int
    limit_price: str | None
    leaves: int
    seq: int


class NotFound(Answer, frozen=True, tag="not_found"):
    pass


class Execution(Struct, frozen=True):
    exec_id: str
    seq: int
    at: int
    quantity: int
    price: str
    liquidity: Liquidity


class Found(Answer, frozen=True, tag="found"):
    order_id: str
    state: State
    venue_order_id: str | None
    symbol: str
    side: Side
    type: OrderType
    quantity: int
    limit_price: str | None
    time_in_force: TimeInForce
    filled: int
    leaves: int
    terms_id: str
    reason: str | None
    last_seq: int
    executions_total: int
    executions: list[Execution]


class Busted(Answer, frozen=True, tag="busted"):
    exec_id: str
    ref_exec_id: str
    filled: int
    leaves: int
    seq: int


class Corrected(Answer, frozen=True, tag="corrected"):
    exec_id: str
    ref_exec_id: str
    quantity: int
    price: str
    filled: int
    leaves: int
    seq: int


class Streaming(Answer, frozen=True, tag="streaming"):
    journal: str
    after: int
    last_seq: int


class Pong(Answer, frozen=True, tag="pong"):
    at: int


class Healthy(Answer, frozen=True, tag="healthy"):
    journal: str
    last_seq: int
    entries: int
    orders: int
    open_orders: int
    awaiting_house: int
    connections: int
    uptime_s: float
    faults: dict[str, float | list[float]]


class Refused(Struct, frozen=True, omit_defaults=True):
    """An `error` answer: this request changed nothing."""

    error: str
    message: str
    last_seq: int | None = None
    first_outcome: str | None = None
    venue_order_id: str | None = None


AnyAnswer = Answer | Refused


class Heartbeat(Struct, frozen=True, tag_field="kind", tag="heartbeat"):
    seq: int
    at: int


_encoder = msgspec.json.Encoder()


def encode_answer(key: int | str | None, answer: AnyAnswer) -> bytes:
    """The answer's line: the request's id in front of the body."""
    return b'{"id":%b,%b\n' % (_encoder.encode(key), _encoder.encode(answer)[1:])
