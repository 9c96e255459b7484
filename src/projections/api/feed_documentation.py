"""The query parameters of /events as the OpenAPI document shows them; they are read by `feed_parameters.py`."""

from __future__ import annotations

from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Parameter, Schema

from projections.feed import CHANNELS

_TEXT = Schema(type=OpenAPIType.STRING)
_FLAG = Schema(type=OpenAPIType.BOOLEAN, default=False)
_POSITION = Schema(type=OpenAPIType.INTEGER, minimum=0)
_ID = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID)


def _parameter(name: str, schema: Schema, description: str, *, place: str = "query") -> Parameter:
    return Parameter(name=name, param_in=place, schema=schema, description=description, required=False)


FEED = [
    _parameter("after", _POSITION, "First everything after this position of the log; beyond its end: 422."),
    _parameter("Last-Event-ID", _POSITION, "The last `id` that was received; wins over `after`.", place="header"),
    _parameter("channels", _TEXT, f"One or more of {', '.join(CHANNELS)}, separated by commas; orders by default."),
    _parameter("symbol", _TEXT, "Only this symbol or instrument."),
    _parameter("order_id", _ID, "Only this order; not with the channel books."),
    _parameter("detail", _FLAG, "Also what is between: accepted, pending, in doubt, parked."),
    _parameter("batch", _FLAG, "Means nothing here: each message is an event of its own."),
]
