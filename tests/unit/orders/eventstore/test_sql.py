"""Named statements of a .sql file."""

from pathlib import Path

import pytest

from orders.eventstore.sql import load


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"parcels_{tmp_path.name}"  # imported once in a process
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return name


def write(tmp_path: Path, text: str) -> None:
    (tmp_path / f"parcels_{tmp_path.name}" / "q.sql").write_text(text)


def test_each_statement_has_its_name_and_no_comment(package: str, tmp_path: Path) -> None:
    write(
        tmp_path,
        "-- about the file\n\n-- name: due\n-- Oldest first.\nselect 1\n  -- of all\nfrom parcel;\n\n"
        "-- name: all_of_them\nselect 2;\n",
    )
    assert load(package, "q.sql") == {"due": "select 1\nfrom parcel", "all_of_them": "select 2"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select 1;\n-- name: a\nselect 2", "before the first name"),
        ("-- name: a\nselect 1\n-- name: a\nselect 2", "a stands twice"),
        ("-- name: a\n-- nothing\n-- name: b\nselect 2", "a has no statement"),
        ("-- name: A b\nselect 1", "'A b' is no name"),
        ("-- name:\nselect 1", "'' is no name"),
    ],
)
def test_a_file_that_is_not_so_is_refused(package: str, tmp_path: Path, text: str, reason: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ValueError, match=reason):
        load(package, "q.sql")


def test_a_missing_file_is_named(package: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.sql"):
        load(package, "missing.sql")
