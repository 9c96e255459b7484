"""What an adapter process tells of itself, and how the outcomes of its attempts are counted."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from exchange_adapter.call_pool import Raised, TimedOut, TooLate
from exchange_adapter.venue import NotSent, Placed, Refused, SubmitOutcome
from orders.distribution import Observed


class Attempts(Struct, frozen=True):
    """Submits since the process began, by what the call brought within its timeout. Each is one `SubmitStarted`.

    `placed` and `refused` by the venue; `not_sent`: surely nothing arrived there, a call that was not made in time
    included; `unknown`: in doubt, by a timeout too.
    """

    placed: int = 0
    refused: int = 0
    not_sent: int = 0
    unknown: int = 0

    def counting(self, outcome: SubmitOutcome | Raised | TooLate | TimedOut[Any]) -> Attempts:
        match outcome:
            case Placed():
                return replace(self, placed=self.placed + 1)
            case Refused():
                return replace(self, refused=self.refused + 1)
            case NotSent() | TooLate():
                return replace(self, not_sent=self.not_sent + 1)
            case _:
                return replace(self, unknown=self.unknown + 1)


class Messages(Struct, frozen=True, kw_only=True):
    """Of the broker, where one tells of work; `hints` and `undecodable` since the process began.

    - queues: consumed now; as many as shards are owned, unless the broker is away
    - in_hand: messages that were delivered and wait for a turn
    - hints: orders that messages named
    - undecodable: messages put aside, as no work messages
    """

    queues: int
    in_hand: int
    hints: int
    undecodable: int


class Figures(Struct, frozen=True, kw_only=True):
    """One process at one moment; a row of public.adapter_workers has it as JSON, with these very names.

    Numbers of now:
    - calls_running: calls to the venue that are within their timeout
    - calls_hanging: calls past it, each with its thread; a quarter of calls_limit makes the process start afresh
    - calls_limit: the most at a time, running and hanging together
    - breaker_open_s: seconds since the circuit breaker opened; null while it is closed
    - duties: orders in the window, on which this process works or will soon; the rest waits in the table
    - messages: those of the broker; null where the log itself tells of work
    - turns_running: orders being worked on now
    Numbers since the process began:
    - turns_ended: how often an order was worked on
    - attempts: submits by outcome
    - call_seconds: what calls of any kind took, by the buckets of CALL_SECONDS; one past its timeout counts with that
    """

    calls_running: int
    calls_hanging: int
    calls_limit: int
    breaker_open_s: float | None
    duties: int
    turns_running: int
    turns_ended: int
    attempts: Attempts
    call_seconds: Observed = Observed()
    messages: Messages | None = None


class Working(Struct, frozen=True):
    """What the event loop says when it is asked: the shards in which turns run, and its figures."""

    busy_shards: frozenset[int]
    figures: Figures
