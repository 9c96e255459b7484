"""When the run's RabbitMQ is started, and when the one that runs is taken."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.rabbitmq import with_guardian
from tests.support.rabbitmq_node import SOCKET


def started_for(folder: Path) -> list[Path]:
    """The folders for which one was started."""
    started: list[Path] = []

    def start(folder: Path) -> None:
        assert not folder.exists()
        started.append(folder)

    with_guardian(folder, start)
    return started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "rabbit"


def test_the_first_who_asks_starts_it(folder: Path) -> None:
    assert started_for(folder) == [folder]


def test_one_that_runs_is_taken(folder: Path) -> None:
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as guardian:
        guardian.bind(str(folder / SOCKET))
        guardian.listen()
        assert started_for(folder) == []


@pytest.mark.parametrize("left", ["nothing", "a socket"])
def test_what_a_killed_one_has_left_under_the_same_number_is_thrown_away(folder: Path, left: str) -> None:
    folder.mkdir()
    (folder / "mnesia").mkdir()
    if left == "a socket":
        with socket.socket(socket.AF_UNIX) as guardian:
            guardian.bind(str(folder / SOCKET))
    assert started_for(folder) == [folder]
