"""The read side under kills and cuts, each campaign in its short form; `make chaos` runs the long ones.

Clients that stop reading are in tests/integration/test_feed_process.py: most of their time is waiting to be closed.
"""

from tests.campaigns import alternations, projectors, sockets


def test_every_socket_sees_every_message_of_its_filter_once_and_in_order_however_often_it_is_cut(
    database_url: str,
) -> None:
    outcome = sockets.run(database_url, sockets=60, cuts=5, events=2_000, per_second=1_000, seed=3)
    assert not outcome.findings, outcome
    assert outcome.cuts == 60 * 5
    assert outcome.messages > 700, outcome


def test_no_row_differs_from_a_fold_of_the_log_when_projectors_and_writers_are_killed(database_url: str) -> None:
    outcome = projectors.run(database_url, kills=4, seed=3, projectors=3, writers=2)
    assert not outcome.findings, outcome
    assert outcome.takeovers_s, "a kill should have met who kept a projection"
    assert outcome.events > 100, outcome


def test_a_read_is_never_older_than_the_write_before_it_at_any_process(database_url: str) -> None:
    outcome = alternations.run(database_url, alternations=120, seed=3)
    assert not outcome.findings, outcome
    assert outcome.reads.total() == outcome.writes.total() == 120
