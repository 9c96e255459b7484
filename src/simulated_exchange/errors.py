"""What keeps the simulated exchange from running. Each is one line for a person.

ExchangeError
├── BadSetting          a setting that cannot be (exit code 2)
├── AddressInUse        someone listens there already
├── AddressUnusable     nothing can listen there
├── FolderInUse         another exchange has this data folder
├── JournalDamaged      the journal is broken before its end
├── JournalUnwritable   the disk is full or the folder is not ours
├── ControlUnreachable  nobody answers on the control socket
└── ControlRefused      the running exchange refuses what a person asked for
"""

from __future__ import annotations


class ExchangeError(Exception):
    """The exchange cannot start or go on; str() says why in one line."""

    exit_code = 1


class BadSetting(ExchangeError):
    exit_code = 2


class AddressInUse(ExchangeError):
    pass


class AddressUnusable(ExchangeError):
    pass


class FolderInUse(ExchangeError):
    pass


class JournalDamaged(ExchangeError):
    pass


class JournalUnwritable(ExchangeError):
    pass


class ControlUnreachable(ExchangeError):
    pass


class ControlRefused(ExchangeError):
    """`code` as on the wire: bad_request, unknown_order, unknown_execution, unavailable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
