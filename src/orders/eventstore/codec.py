"""Events to stored bytes and back; older schema versions are upcast on read.

A stored event is JSON with its name and schema version in the field `event` (`OrderPlaced.v1`), which is also the
stored topic, so that the version is known without parsing. To change an event: give the new struct the tag
`Name.v2`, and register here how a v1 object becomes a v2 object. Readers of a new version ship one release before its
writers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from orders.domain.events import AnyEvent, Event
from orders.eventstore.port import EncodedUnit, Unit, UnknownEvent
from orders.unreadable import UNREADABLE

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: dict[str, Upcaster] = {}
"""By stored name, from one version to the next: the result's `event` names the next version."""

EVENT_OVERHEAD_BYTES = 40
"""What an event takes of a statement beside topic and state: stream id, version and four lengths."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def topic_of(event: Event | type[Event]) -> str:
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def encode(event: Event) -> bytes:
    return _encoder.encode(event)


def encode_unit(unit: Unit) -> EncodedUnit:
    topics = tuple(topic_of(event) for event in unit.events)
    states = tuple(_encoder.encode(event) for event in unit.events)
    size_bytes = sum(map(len, topics)) + sum(map(len, states)) + EVENT_OVERHEAD_BYTES * len(states)
    return EncodedUnit(unit.stream_id, unit.expected_version, topics, states, size_bytes)


def decode(topic: str, state: bytes, *, upcasters: dict[str, Upcaster] | None = None) -> AnyEvent:
    """The event. Raises UnknownEvent where the name or version is not known, or the bytes are not such an event."""
    upcasters = UPCASTERS if upcasters is None else upcasters
    try:
        if topic not in upcasters:
            return _decoder.decode(state)
        stored = msgspec.json.decode(state, type=dict[str, Any])
        while (step := upcasters.get(stored["event"])) is not None:
            stored = step(stored)
        event: AnyEvent = msgspec.convert(stored, AnyEvent, strict=False)
        return event
    except (*UNREADABLE, KeyError) as error:
        raise UnknownEvent(f"stored event {topic!r} cannot be read: {error}") from error
