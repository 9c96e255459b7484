"""Named SQL statements from .sql files: `-- name: x` begins a statement, further comment lines say why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^--[ \t]*name:[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")


def load(package: str, filename: str) -> Mapping[str, str]:
    """The statements of a .sql file in a package, by name, comments left out.

    Raises ValueError where a name is no identifier, stands twice or has no statement, or where SQL stands before the
    first name; FileNotFoundError where there is no such file.
    """
    text = files(package).joinpath(filename).read_text(encoding="utf-8")
    before, *rest = _NAME.split(text)
    if _statement(before):
        raise ValueError(f"{filename}: SQL before the first name")
    statements: dict[str, str] = {}
    for name, body in zip(rest[::2], rest[1::2], strict=True):
        statement = _statement(body)
        if not _IDENTIFIER.fullmatch(name):
            raise ValueError(f"{filename}: {name!r} is no name")
        if name in statements:
            raise ValueError(f"{filename}: {name} stands twice")
        if not statement:
            raise ValueError(f"{filename}: {name} has no statement")
        statements[name] = statement
    return MappingProxyType(statements)


def _statement(body: str) -> str:
    lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).strip().removesuffix(";").rstrip()
