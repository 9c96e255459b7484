"""Journal lines: one per input that changed something, with the reports it caused; they stand or fall together."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from simulated_exchange.protocol import AnyReport, Input

FORMAT = 1


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: which journal this is."""

    format: int
    journal: str


class Entry(Struct, frozen=True, omit_defaults=True):
    """What happened at `at`. `house_due` is set where the house will fill what the book did not."""

    n: int
    at: int
    input: Input
    reports: list[AnyReport]
    house_due: int | None = None


class EncodedEntry(Struct, frozen=True, omit_defaults=True):
    """The same with reports already encoded: their bytes in the journal and on the wire are the same."""

    n: int
    at: int
    input: Input
    reports: list[msgspec.Raw]
    house_due: int | None = None


class ReportsOnly(Struct, frozen=True):
    """What a reader of reports needs of a line."""

    reports: list[msgspec.Raw] = []


_encoder = msgspec.json.Encoder()


def encode_entry(entry: Entry) -> tuple[bytes, list[bytes]]:
    """The journal's line, and each report's line for the wire."""
    reports = [_encoder.encode(report) for report in entry.reports]
    line = _encoder.encode(
        EncodedEntry(entry.n, entry.at, entry.input, [msgspec.Raw(raw) for raw in reports], entry.house_due)
    )
    return line + b"\n", [raw + b"\n" for raw in reports]


def encode_header(journal: str) -> bytes:
    return _encoder.encode(Header(format=FORMAT, journal=journal)) + b"\n"
