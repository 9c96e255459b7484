"""What can go wrong in the adapter itself. What a venue answers is no error: see the outcomes in `venue.py`.

AdapterError
├── VenueConfigError     EXCHANGE names nothing usable; str() is one line for a person
├── ReportsLost          the stream of reports ended or went silent; it is opened again from the stored position
│   └── OtherJournal     the venue's reports are numbered anew: the stored position means nothing there
└── PoolExhausted        too many threads hang in calls: drain, exit with RESTART_EXIT_CODE, be started again
"""

from __future__ import annotations

RESTART_EXIT_CODE = 75  # sysexits' EX_TEMPFAIL: nothing is wrong that a new process would not mend


class AdapterError(Exception):
    pass


class VenueConfigError(AdapterError):
    pass


class ReportsLost(AdapterError):
    pass


class OtherJournal(ReportsLost):
    """`source` names the journal that the venue has now; None where it does not say."""

    def __init__(self, message: str, source: str | None) -> None:
        super().__init__(message)
        self.source = source


class PoolExhausted(AdapterError):
    pass
