"""The stored events against the hash chain: every digest and every link is computed anew, from the stored bytes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import psycopg

from orders.bounds import MAX_MISMATCHES, MAX_UNCOVERED_EVENTS
from orders.hash_chain import GENESIS, ChainHead, event_digest, link_hash
from orders.log_check.comparison import Mismatch, Stored, explain, missing_tail
from orders.log_check.finding import LogFinding, LogFindings
from orders.log_check.progress import Progress
from orders.log_check.reading import Link, LogRows, Reach

_DIGEST_BYTES = len(GENESIS)


def check_chain(rows: LogRows, findings: LogFindings, progress: Progress, noted: ChainHead | None = None) -> ChainHead:
    """Positions without a hole, events as the chain knows them, links that fit one another. `noted` is a head that was
    written down elsewhere. Returns the chain's head. Raises psycopg.Error."""
    walk = _Walk(rows, findings, progress)
    at_noted: bytes | None = None
    try:
        for link in rows.links():
            walk.check(link)
            if noted is not None and link.last_position == noted.position:
                at_noted = link.hash
        walk.finish()
    except psycopg.Error:
        walk.explain(whole=False)
        raise
    if noted is not None:
        _compare_heads(noted, at_noted, walk.head, rows.reach.head, findings)
    if rows.reach.follower > walk.head.position:
        text = f"the hash chain ends at position {walk.head.position}, and its follower was at {rows.reach.follower}"
        findings.add(LogFinding(what="cut_chain", text=text, position=walk.head.position + 1))
    return walk.head


def check_reach(reach: Reach, findings: LogFindings) -> None:
    """Whether the chain is kept. A second's events, or what came while nobody kept it, is not covered; but where that
    is very much, the chain may have been removed."""
    if reach.stopped_at is not None and reach.stopped_at > reach.chain:
        text = f"it has stopped at position {reach.stopped_at}: {reach.reason}"
        findings.add(LogFinding(what="chain_stopped", text=text, position=reach.stopped_at))
    if reach.uncovered > MAX_UNCOVERED_EVENTS:
        text = f"{reach.uncovered} events are not covered, more than a chain that is kept leaves"
        findings.add(LogFinding(what="chain_behind", text=text, position=reach.chain + 1, last_position=reach.head))


def _compare_heads(
    noted: ChainHead, found: bytes | None, head: ChainHead, log_head: int, findings: LogFindings
) -> None:
    if found == noted.hash:
        return
    if found is not None or head.position > noted.position:
        stands = "no link ends there" if found is None else f"its hash is {found.hex()}"
        text = f"the chain is not the one whose head at position {noted.position} was noted: {stands}"
        findings.add(LogFinding(what="other_chain", text=text, position=noted.position))
        return
    ends = f"a head was noted at position {noted.position}, and the chain ends at {head.position}"
    if log_head < noted.position:
        tail = missing_tail(log_head + 1, noted.position)
        findings.add(msgspec.structs.replace(tail, text=f"{tail.text}: {ends}"))
    else:
        findings.add(LogFinding(what="cut_chain", text=ends, position=head.position + 1, last_position=noted.position))


class _Walk:
    """Log and chain side by side, once, in order of position."""

    def __init__(self, rows: LogRows, findings: LogFindings, progress: Progress) -> None:
        self.head = ChainHead()
        self._log_head = rows.reach.head
        self._chain_end = rows.reach.chain
        self._findings = findings
        self._stored = self._digests(rows, progress)
        self._next = next(self._stored, None)
        self._position = 1  # the next one of the log
        self._mismatches: list[Mismatch] = []
        self._more = 0

    def check(self, link: Link) -> None:
        if link.first_position < self._position:
            self._broken(link, "it holds positions of the link before it")
            return
        if link.first_position > self._position:
            self._broken(link, f"the link before it ends at position {self.head.position}")
            self._pass(link.first_position - 1)
        elif link.previous != self.head.hash:
            self._broken(link, "it does not name the hash of the link before it")
        self.head = ChainHead(link.last_position, link.hash)
        if link_hash(link.previous, link.first_position, link.event_digests) == link.hash:
            self._compare(link)
        else:
            self._broken(link, "its hash is not that of what it holds, so its events cannot be checked by it")
            self._pass(link.last_position)

    def finish(self) -> None:
        """What the chain does not cover yet, and what the differences mean."""
        self._pass(self._log_head)
        self.explain(whole=not self._more)

    def explain(self, *, whole: bool) -> None:
        """What the differences mean; `whole`: they are all there are."""
        found = explain(self._mismatches, head=self._log_head)
        if self._mismatches and not whole:
            # What lies near the end of what was looked at may belong to something past it.
            middle = self._mismatches[len(self._mismatches) // 2].position
            found = [finding for finding in found if finding.position <= middle and finding.what != "missing_tail"]
            if self._chain_end > self._log_head:
                found.append(missing_tail(self._log_head + 1, self._chain_end))
        for finding in found:
            self._findings.add(finding)

    def _digests(self, rows: LogRows, progress: Progress) -> Iterator[Stored]:
        for number, row in enumerate(rows.by_position(), 1):
            progress.at(number)
            digest = event_digest(row.order_id, row.version, row.topic, row.state)
            yield Stored(row.position, row.order_id, row.version, digest)

    def _compare(self, link: Link) -> None:
        for number, position in enumerate(range(link.first_position, link.last_position + 1)):
            known = link.event_digests[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES]
            stored = self._take(position)
            if stored is not None and stored.digest == known:
                continue
            if len(self._mismatches) < MAX_MISMATCHES:
                self._mismatches.append(Mismatch(position, known, stored))
            else:
                self._more += 1
        self._position = link.last_position + 1

    def _take(self, position: int) -> Stored | None:
        """The event of that position, which is the next one asked for."""
        found = self._next
        if found is None or found.position != position:
            return None
        self._next = next(self._stored, None)
        return found

    def _pass(self, last: int) -> None:
        """Goes past the events up to there that the chain does not cover: their positions alone can be checked."""
        while self._next is not None and self._next.position <= last:
            self._missing(self._position, self._next.position - 1)
            self._position = self._next.position + 1
            self._next = next(self._stored, None)
        self._missing(self._position, last)
        self._position = max(self._position, last + 1)

    def _missing(self, first: int, last: int) -> None:
        if first > last:
            return
        which = f"position {first} is" if first == last else f"positions {first} to {last} are"
        text = f"{which} missing in the log"
        self._findings.add(LogFinding(what="missing_position", text=text, position=first, last_position=last))

    def _broken(self, link: Link, why: str) -> None:
        text = f"the chain's link of positions {link.first_position} to {link.last_position} was changed or cut: {why}"
        first, last = link.first_position, link.last_position
        self._findings.add(LogFinding(what="broken_link", text=text, position=first, last_position=last))
