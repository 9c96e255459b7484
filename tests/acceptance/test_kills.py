"""kill -9 of any process, or of all, under load (the long form: python -m tests.campaigns.kills)."""

from tests.campaigns.kills import run


def test_nothing_accepted_is_lost_doubled_or_lied_about_when_processes_are_killed() -> None:
    outcome = run(kills=5, seed=3)
    assert outcome.balance.accepted > 0
    assert not outcome.findings, outcome
    assert outcome.balance.closes, outcome
