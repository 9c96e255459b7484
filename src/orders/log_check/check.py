"""The check of the whole log: `orders verify`. It changes nothing, and holds nobody up."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from msgspec import Struct

from orders.hash_chain import ChainHead
from orders.log_check.chain import check_chain, check_reach
from orders.log_check.finding import LogFinding, LogFindings
from orders.log_check.folds import check_orders
from orders.log_check.progress import Progress
from orders.log_check.reading import LogRows, checking_connection


class LogReport(Struct, frozen=True):
    """`events` were checked, up to that position, of so many streams. The chain covers those up to `chain`'s position;
    `uncovered` come after it. `number` counts the findings, of which the first are here. `unread` says why not all of
    it could be read, where that is so."""

    events: int
    streams: int
    chain: ChainHead
    uncovered: int
    findings: Sequence[LogFinding]
    number: int
    unread: str | None = None


def check_log(direct_url: str, progress: Progress, *, noted: ChainHead | None = None) -> LogReport:
    """Reads the log twice: by position along the hash chain, and order by order. `noted` is a head of the chain that
    was written down elsewhere. `direct_url` leads past a pooler. Raises psycopg.Error where nothing can be read."""
    findings, chain, streams, unread = LogFindings(), ChainHead(), 0, None
    with checking_connection(direct_url) as connection:
        rows = LogRows(connection)
        reach = rows.reach
        check_reach(reach, findings)
        try:
            progress.begin("hash chain", reach.head)
            chain = check_chain(rows, findings, progress, noted)
            progress.begin("orders", reach.head)
            streams = check_orders(rows, findings, progress)
        except psycopg.Error as error:  # what was found until then is not to be lost
            unread = " ".join(str(error).split()) or type(error).__name__
    uncovered = max(0, reach.head - chain.position)
    return LogReport(reach.head, streams, chain, uncovered, findings.kept, findings.number, unread)
