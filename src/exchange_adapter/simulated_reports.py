"""The simulated exchange's stream of execution reports, on a connection of its own."""

from __future__ import annotations

import time
from collections import deque
from decimal import Decimal

from exchange_adapter.bounds import (
    CONNECT_TIMEOUT_S,
    MAX_EARLY_REPORTS,
    MAX_LINE_BYTES,
    RECEIVE_BYTES,
    REPORT_SILENCE_S,
)
from exchange_adapter.errors import OtherJournal, ReportsLost
from exchange_adapter.venue import Report, ReportKind, ReportPosition
from exchange_adapter.wire import Lines, ReportLine, answer_decoder, connect, line, report_decoder
from orders.unreadable import UNREADABLE

_HEARTBEAT = "heartbeat"
_ELSEWHERE = ("other_journal", "after_beyond_end")


class SimulatedReports:
    """Reads only when asked and when nothing is left: the exchange keeps what is not read.

    Reports that come twice or behind later ones are brought into their order; what stays away is asked for again.
    """

    def __init__(self, address: str, after: ReportPosition) -> None:
        self._seq = after.seq
        self._lines = Lines()
        self._unread: deque[bytes] = deque()
        self._early: dict[int, Report] = {}  # by seq, ahead of one that is missing
        self._heard_at = self._whole_at = time.monotonic()
        try:
            self._socket = connect(address)
        except (OSError, ValueError) as error:
            raise ReportsLost(f"the exchange cannot be reached: {error}") from error
        try:
            self.source = self._open(after)
        except ReportsLost:
            self._socket.close()
            raise

    def next_batch(self, limit: int, timeout_s: float) -> list[Report]:
        give_up_at = time.monotonic() + timeout_s
        while True:
            if not self._unread and self._seq + 1 not in self._early:
                self._receive(max(give_up_at - time.monotonic(), 0.001))
            batch = self._reports(limit)
            if batch or time.monotonic() >= give_up_at:
                return batch

    def close(self) -> None:
        self._socket.close()

    def _open(self, after: ReportPosition) -> str | None:
        request = {"op": "reports", "id": 1, "after": after.seq}
        if after.source is not None:
            request["journal"] = after.source
        try:
            self._socket.sendall(line(request))
        except OSError as error:
            raise ReportsLost(f"the exchange's reports cannot be asked for: {error}") from error
        give_up_at = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._unread:
            if time.monotonic() > give_up_at:
                raise ReportsLost("the exchange does not answer to `reports`")
            self._receive(CONNECT_TIMEOUT_S)
        try:
            answer = answer_decoder.decode(self._unread.popleft())
        except UNREADABLE as error:
            raise ReportsLost(f"the exchange sent what is no answer: {error}") from error
        if answer.error in _ELSEWHERE:
            raise OtherJournal(f"the exchange's reports are numbered anew: {answer.error}", answer.journal)
        if answer.outcome != "streaming":
            raise ReportsLost(f"the exchange does not send reports: {answer.error or answer.outcome}")
        return answer.journal

    def _receive(self, timeout_s: float) -> None:
        """Adds what comes; nothing in time is fine until the exchange was silent for too long."""
        self._socket.settimeout(timeout_s)
        try:
            received = self._socket.recv(RECEIVE_BYTES)
        except TimeoutError:
            if time.monotonic() - self._heard_at > REPORT_SILENCE_S:
                raise ReportsLost(f"the exchange was silent for {REPORT_SILENCE_S:g} s") from None
            return
        except OSError as error:
            raise ReportsLost(f"the stream of reports broke: {error}") from error
        if not received:
            raise ReportsLost("the exchange ended the stream of reports")
        self._heard_at = time.monotonic()
        self._unread.extend(self._lines.feed(received))
        if self._lines.waiting > MAX_LINE_BYTES:
            raise ReportsLost("the exchange sent a line without an end")

    def _reports(self, limit: int) -> list[Report]:
        batch: list[Report] = []
        try:
            while len(batch) < limit:
                if (due := self._early.pop(self._seq + 1, None)) is not None:
                    self._seq += 1
                    batch.append(due)
                elif self._unread:
                    self._take(self._unread.popleft())
                else:
                    break
        except (*UNREADABLE, ValueError, ArithmeticError) as error:
            raise ReportsLost(f"the exchange sent what is no report: {error}") from error
        if batch or not self._early:
            self._whole_at = time.monotonic()
        elif len(self._early) > MAX_EARLY_REPORTS or time.monotonic() - self._whole_at > REPORT_SILENCE_S:
            raise ReportsLost(f"report {min(self._early)} came after {self._seq}")
        return batch

    def _take(self, text: bytes) -> None:
        read = report_decoder.decode(text)
        if read.kind != _HEARTBEAT and read.seq > self._seq:
            self._early[read.seq] = report(read, text)


def report(read: ReportLine, text: bytes) -> Report:
    return Report(
        seq=read.seq,
        kind=ReportKind(read.kind),
        order_ref=read.order_id,
        venue_order_id=read.venue_order_id,
        exec_id=read.exec_id,
        ref_exec_id=read.ref_exec_id,
        request_id=read.request_id,
        quantity=read.quantity,
        price=None if read.price is None else Decimal(read.price),
        limit_price=None if read.limit_price is None else Decimal(read.limit_price),
        leaves=read.leaves,
        reason=read.reason,
        raw=text,
    )
