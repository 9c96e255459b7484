"""The projection of the how-to page is the one that is shipped, and it takes no other file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from projections.positions import POSITIONS

ROOT = Path(__file__).parents[3]
PROJECTIONS = ROOT / "src/projections"
PAGE = (ROOT / "docs/how-to/add-a-projection.md").read_text(encoding="utf-8")


def shown(language: str) -> list[str]:
    return [block.strip() for block in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("file", ["positions.py", "positions.sql"])
def test_the_page_shows_the_whole_of_the_shipped_code(file: str) -> None:
    code = (PROJECTIONS / file).read_text(encoding="utf-8")
    blocks = shown("python" if file.endswith(".py") else "sql")
    for block in blocks:
        code = code.replace(block, "")
    assert code.split() == []


def test_the_page_shows_the_registry_as_it_is() -> None:
    registry = (PROJECTIONS / "registry.py").read_text(encoding="utf-8")
    assert any("POSITIONS" in block and block in registry for block in shown("python"))


def test_a_projection_is_named_in_its_own_files_and_the_registry_only() -> None:
    named = re.compile(rf"\b({POSITIONS.name}\.sql|projections\.{POSITIONS.name}|POSITIONS)\b")
    files = [path for path in (ROOT / "src").rglob("*.py") if named.search(path.read_text(encoding="utf-8"))]
    assert {path.name for path in files} == {"positions.py", "registry.py"}
