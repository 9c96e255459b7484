"""What can end or prevent a start; each is one clear line for a person, and an exit code.

ServiceError
├── SettingsError         settings that are wrong, all of them
├── RefusedError          the API refused what a command asked for
├── WrongRequestError     what a command asked for cannot be meant: a wrong value or parameter
├── NotFoundError         there is no such order
├── ConflictError         it is in conflict with what is under way
├── UnreachableError      something needed is not reachable: API, database, exchange
├── AddressInUse          another process listens where we should
├── PartFailed            a part of the service does not start
├── ChildNotStarted       a process of ours could not be started
├── EmbeddedPostgresError
│   ├── BinariesNotFound      there is no PostgreSQL for this machine in the wheel
│   ├── DataFolderInUse       another service, or a PostgreSQL that does not end, has the data folder
│   ├── DataFolderUnusable    wrong owner, no right to it, full disk, not a folder
│   ├── WrongDataVersion      the data was written by another major version of PostgreSQL
│   ├── PostgresNotStarted    it ended or hung while it started; its log says why
│   └── StartAbandoned        its start was given up on request
└── MigrationError
    ├── WrongMigrationFiles   a name that cannot be, two files of one number, one before what is applied
    ├── MigrationChanged      a file differs from what was applied
    ├── UnknownMigration      the database was migrated by a newer version of the service
    └── MigrationFailed       the database refused a migration
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class ServiceError(Exception):
    """`str()` is one line that says what is wrong and what to do."""


class WrongSetting(NamedTuple):  # no msgspec here: its import is half of the time of `orders --help`
    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


class SettingsError(ServiceError):
    def __init__(self, wrong: Sequence[WrongSetting]) -> None:
        super().__init__("; ".join(str(one) for one in wrong))
        self.wrong = tuple(wrong)


class RefusedError(ServiceError):
    pass


class WrongRequestError(ServiceError):
    pass


class NotFoundError(ServiceError):
    pass


class ConflictError(ServiceError):
    pass


class UnreachableError(ServiceError):
    pass


class AddressInUse(ServiceError):
    pass


class PartFailed(ServiceError):
    pass


class ChildNotStarted(ServiceError):
    """The program is missing or may not be run, or the account could not be taken on."""


class EmbeddedPostgresError(ServiceError):
    """Something prevents the embedded PostgreSQL; its line names the folder."""


class BinariesNotFound(EmbeddedPostgresError): ...


class DataFolderInUse(EmbeddedPostgresError): ...


class DataFolderUnusable(EmbeddedPostgresError): ...


class WrongDataVersion(EmbeddedPostgresError): ...


class PostgresNotStarted(EmbeddedPostgresError): ...


class StartAbandoned(EmbeddedPostgresError): ...


class MigrationError(ServiceError):
    """Something prevents the migrations; its line names the file."""


class WrongMigrationFiles(MigrationError): ...


class MigrationChanged(MigrationError): ...


class UnknownMigration(MigrationError): ...


class MigrationFailed(MigrationError): ...
