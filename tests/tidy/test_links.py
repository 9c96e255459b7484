"""Every link from one of our pages to another leads somewhere, down to the heading."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.tree import ROOT, project_files

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
PAGES = [ROOT / path for path in project_files() if path.endswith(".md")]


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings: lower case, spaces to hyphens, nothing but letters, digits, - and _."""
    made: list[str] = []
    for heading in re.findall(r"^#+ +(.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip()).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        made.append(f"{anchor}-{made.count(anchor)}" if anchor in made else anchor)
    return set(made)


def broken_links(page: Path) -> Iterator[str]:
    for link in LINK.findall(without_code(page.read_text())):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{link}: there is no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{link}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b`, c\n\n[one](no.md) [two](#a-b-c) [three](#no) [four](mailto:a@b) `[five](no.md)`\n")
    assert [found.split(":")[0] for found in broken_links(page)] == ["no.md", "#no"]


def test_every_decision_is_listed_once_and_in_order() -> None:
    decisions = ROOT / "docs/decisions"
    listed = re.findall(r"^\| \[\d{4}\]\((.*?)\)", (decisions / "README.md").read_text(), re.MULTILINE)
    assert listed == sorted(path.name for path in decisions.glob("0*.md") if path.name != "0000-template.md")
