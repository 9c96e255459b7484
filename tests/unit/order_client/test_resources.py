"""The client knows every field that the service tells, and asks for none that it may leave out."""

from typing import get_args, get_type_hints

import msgspec
import pytest
from msgspec import Struct, UnsetType

from order_client import messages, resources
from orders.domain.resource import OrderResource
from projections import feed_messages, history, order_book, queries
from projections.api.listed_instruments import ListedInstrument

SAME = [
    (resources.Order, OrderResource),
    (resources.HistoryEvent, history.HistoryEvent),
    (resources.FieldChange, history.FieldChange),
    (resources.Trade, queries.Trade),
    (resources.Book, order_book.Book),
    (resources.Level, order_book.Level),
    (resources.Instrument, ListedInstrument),
    (messages.OrderMessage, feed_messages.OrderMessage),
    (messages.TradeMessage, feed_messages.TradeMessage),
    (messages.TradeBusted, feed_messages.TradeBusted),
    (messages.TradeCorrected, feed_messages.TradeCorrected),
    (messages.BookMessage, feed_messages.BookMessage),
    (messages.CaughtUp, feed_messages.CaughtUp),
]
APART = {"id", "more"}  # an order's `id` is its order_id; `more` may stand in any message of the feed


def fields(kind: type[Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind)} - APART


def may_be_none(kind: type[Struct]) -> set[str]:
    return {name for name, hint in get_type_hints(kind).items() if type(None) in get_args(hint)}


def left_out(service: type[Struct]) -> set[str]:
    return {name for name, hint in get_type_hints(service).items() if UnsetType in get_args(hint)}


def need_not_come(client: type[Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(client) if not field.required}


@pytest.mark.parametrize(("client", "service"), SAME, ids=lambda kind: kind.__name__)
def test_the_client_has_the_fields_of_the_service(client: type[Struct], service: type[Struct]) -> None:
    assert fields(client) == fields(service)
    assert need_not_come(client) >= left_out(service)
    assert may_be_none(client) >= may_be_none(service)
