"""Which files are migrations, and what is wrong with them before a database is asked."""

from pathlib import Path

import pytest

from order_service.errors import WrongMigrationFiles
from order_service.migrations import read_migrations


def written(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text(f"select '{name}';")
    return folder


def test_the_files_are_read_by_number_and_others_do_not_count(tmp_path: Path) -> None:
    written(tmp_path, "0010_c.sql", "0002_b.sql", "0001_a.sql", "bookkeeping.sql", "__init__.py")
    assert [(each.number, each.name) for each in read_migrations(tmp_path)] == [
        (1, "0001_a.sql"),
        (2, "0002_b.sql"),
        (10, "0010_c.sql"),
    ]


@pytest.mark.parametrize("name", ["1_a.sql", "0001-a.sql", "0001_A.sql", "0001_a.sql.orig", "0001_a"])
def test_a_name_that_is_nearly_right_is_refused_rather_than_passed_over(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongMigrationFiles, match=name):
        read_migrations(written(tmp_path, name))


def test_two_files_of_one_number_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(WrongMigrationFiles, match=r"0001_a\.sql and 0001_b\.sql"):
        read_migrations(written(tmp_path, "0001_a.sql", "0001_b.sql"))


def test_line_ends_do_not_change_a_checksum_and_anything_else_does(tmp_path: Path) -> None:
    checksums = []
    for text in (b"select 1;\n", b"select 1;\r\n", b"select 1; \n"):
        (tmp_path / "0001_a.sql").write_bytes(text)
        checksums += [each.sha256 for each in read_migrations(tmp_path)]
    assert checksums[0] == checksums[1] != checksums[2]


def test_the_service_s_own_files_are_found_where_they_are_installed() -> None:
    assert read_migrations()[0].name == "0001_event_log.sql"
