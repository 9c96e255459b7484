"""Settings that hold a secret may name a file instead, as orchestrators mount them: DATABASE_URL_FILE for DATABASE_URL.

A file is not shown by `docker inspect`, nor handed to children, nor printed with an environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from order_service.errors import SettingsError, WrongSetting

SECRETS = (
    "JWT_KEY",
    "ORDERS_API_KEY",
    "DATABASE_URL",
    "DATABASE_DIRECT_URL",
    "DATABASE_OWNER_URL",
    "AMQP_URL",
    "ALERT_WEBHOOK_URL",
)
"""Settings whose value is a secret, or holds one."""

FILE_NAMES = tuple(f"{name}_FILE" for name in SECRETS)


def with_secrets(given: Mapping[str, str]) -> dict[str, str]:
    """`given`, and the first line of each file that it names. Raises SettingsError, which shows nothing of a file."""
    found = dict(given)
    wrong = []
    for name, file_name in zip(SECRETS, FILE_NAMES, strict=True):
        path = found.pop(file_name, "").strip()
        if path and found.get(name):
            wrong.append(WrongSetting(file_name, f"{name} is set, too: keep one of them"))
        elif path:
            try:
                found[name] = Path(path).read_text(encoding="utf-8").partition("\n")[0]
            except OSError as error:
                wrong.append(WrongSetting(file_name, f"{path}: {error.strerror}"))
            except UnicodeDecodeError:
                wrong.append(WrongSetting(file_name, f"{path}: is not a text in UTF-8"))
    if wrong:
        raise SettingsError(wrong)
    return found
