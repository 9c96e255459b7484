"""The check of the whole log: `orders verify`. It changes nothing, and holds nobody up."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from orders.hash_chain import ChainHead
from orders.log_check.chain import check_chain
from orders.log_check.finding import LogFinding, LogFindings
from orders.log_check.folds import check_orders
from orders.log_check.progress import Progress
from orders.log_check.reading import LogRows, checking_connection


class LogReport(Struct, frozen=True):
    """`events` were checked, up to that position, of so many streams. The chain covers those up to `chain`'s position;
    `uncovered` come after it. `number` counts the findings, of which the first are here."""

    events: int
    streams: int
    chain: ChainHead
    uncovered: int
    findings: Sequence[LogFinding]
    number: int


def check_log(direct_url: str, progress: Progress, *, noted: ChainHead | None = None) -> LogReport:
    """Reads the log twice: by position along the hash chain, and order by order. `noted` is a head of the chain that
    was written down elsewhere. `direct_url` leads past a pooler. Raises psycopg.Error."""
    findings = LogFindings()
    with checking_connection(direct_url) as connection:
        rows = LogRows(connection)
        events = rows.reach.head
        progress.begin("hash chain", events)
        chain = check_chain(rows, findings, progress, noted)
        progress.begin("orders", events)
        streams = check_orders(rows, findings, progress)
    return LogReport(events, streams, chain, max(0, events - chain.position), findings.kept, findings.number)
