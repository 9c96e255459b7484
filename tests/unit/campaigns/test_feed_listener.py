"""The campaigns' own clients of the feed: what they remember, and how they read server-sent events."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from load.feed_wire import EventsWire
from tests.campaigns.feed_listener import Listener

PLACED = {"event": "OrderPlaced", "type": "market", "status": "Placed", "position": 4}


def control(kind: str, position: int) -> dict[str, Any]:
    return {"type": kind, "position": position}


@pytest.mark.parametrize(
    ("told", "backwards"),
    [
        ([PLACED, control("caught_up", 4), control("heartbeat", 6)], []),
        ([PLACED | {"more": True}, control("fell_behind", 3), PLACED], []),
        ([PLACED, control("caught_up", 6), control("heartbeat", 3)], ["heartbeat 3 after 6"]),
        ([control("caught_up", 6), PLACED], ["OrderPlaced 4 after 6"]),
    ],
)
def test_a_position_that_goes_back_is_noted(told: list[dict[str, Any]], backwards: list[str]) -> None:
    listener = Listener("symbol=AAAA", [1], random.Random(1), cuts=0, mean=1)
    for message in told:
        listener._hear(json.dumps(message).encode())
    assert listener.backwards == backwards


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.anyio
async def test_events_are_read_however_they_are_cut_into_pieces(size: int) -> None:
    text = b'retry: 1000\nid: 1\n\nid: 7\ndata: {"a":1}\n\n: nothing new\nid: 8\n\ndata: {"b":2}\n\n'
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (text[:30], text[30:]))
    heard: list[bytes] = []
    wire = EventsWire(b"", heard.append)
    sent = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks
    for at in range(0, len(sent), size):
        wire.data_received(sent[at : at + size])
    assert heard == [b'{"a":1}', b'{"b":2}']
