"""The settings of the database: where the log is, how to reach it past a pooler, and as the owner of its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

DATABASE_NAMES = ("DATABASE_URL", "DATABASE_DIRECT_URL", "DATABASE_OWNER_URL")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class DatabaseUrls(Struct, frozen=True):
    """All empty where the embedded PostgreSQL serves. `direct` leads past a pooler, `owner` is for migrations."""

    url: str
    direct: str
    owner: str


def database_urls(raw: Mapping[str, str], refuse: Callable[[str, str], None]) -> DatabaseUrls:
    """What is wrong is refused, by the setting's name, and never shown: it holds a password."""
    for name in DATABASE_NAMES:
        given = raw[name]
        if given and (wrong := _wrong_with(given)):
            refuse(name, wrong)
        elif given and not raw["DATABASE_URL"]:
            refuse(name, "is set, but DATABASE_URL is empty: then the embedded PostgreSQL serves")
    url, direct, owner = (raw[name] for name in DATABASE_NAMES)
    return DatabaseUrls(url=url, direct=direct or url, owner=owner or direct or url)


def _wrong_with(url: str) -> str | None:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        options = conninfo_to_dict(url)  # what libpq says of it would show the password
    except (ProgrammingError, UnicodeError):
        return _EXAMPLE
    if not url.startswith(("postgresql://", "postgres://")):
        return _EXAMPLE
    if any(port and not _is_port(port) for port in str(options.get("port", "")).split(",")):
        return "has a port that is no number from 1 to 65535"
    if options.get("sslmode", _SSL_MODES[0]) not in _SSL_MODES:
        return f"has an sslmode that is none of {', '.join(_SSL_MODES)}"
    return None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536


_EXAMPLE = "is not like postgresql://user:password@host:5432/name (write special characters of the password as %XX)"
