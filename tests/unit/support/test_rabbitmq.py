"""When the run's RabbitMQ is started, when the one that runs is taken, and how long tests wait for each other there."""

from __future__ import annotations

import fcntl
import socket
from pathlib import Path

import pytest

from tests.support.rabbitmq import BREAKS_IT_S, lock, time_limit, with_guardian
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


def test_who_waits_for_others_gives_up_in_time_and_has_its_turn_when_they_are_done(tmp_path: Path) -> None:
    with (tmp_path / "use").open("a") as theirs, (tmp_path / "use").open("a") as ours:
        lock(theirs, fcntl.LOCK_SH, 10)
        lock(ours, fcntl.LOCK_SH, 10)
        with (tmp_path / "use").open("a") as alone, pytest.raises(AssertionError, match=r"waited 0\.05 s in vain"):
            lock(alone, fcntl.LOCK_EX, 0.05)
    with (tmp_path / "use").open("a") as alone:
        lock(alone, fcntl.LOCK_EX, 10)


@pytest.mark.parametrize(
    ("fixtures", "given_s", "limit_s"),
    [
        (["rabbit", "amqp_url"], (), ()),
        (["rabbit", "amqp_url"], (240,), (240,)),
        (["rabbit", "fragile_rabbit"], (), (BREAKS_IT_S,)),
        (["rabbit", "fragile_rabbit"], (400,), (400,)),
    ],
)
def test_a_tests_time_counts_from_where_it_has_the_node(
    fixtures: list[str], given_s: tuple[float, ...], limit_s: tuple[float, ...]
) -> None:
    given = pytest.mark.timeout(*given_s).mark if given_s else None
    mark = time_limit(fixtures, given).mark
    assert (mark.args, mark.kwargs) == (limit_s, {"func_only": True})
