"""What can end or prevent a start; each is one clear line for a person, and an exit code.

    ServiceError
    └── SettingsError         settings that are wrong, all of them
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class ServiceError(Exception):
    """`str()` is one line that says what is wrong and what to do."""


class WrongSetting(Struct, frozen=True):
    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


class SettingsError(ServiceError):
    def __init__(self, wrong: Sequence[WrongSetting]) -> None:
        super().__init__("; ".join(str(one) for one in wrong))
        self.wrong = tuple(wrong)
