"""kill -9 of any process, or of all, under load (the long form: python -m tests.campaigns.kills)."""

from tests.campaigns.kills import run


def test_nothing_accepted_is_lost_doubled_or_lied_about_when_processes_are_killed() -> None:
    balance = run(kills=5, seed=3)
    assert balance.accepted > 0
    assert balance.findings == [], balance
