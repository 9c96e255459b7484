"""Rebuilds beside a projector, writers and kill -9, in a short form; `make chaos` does 200."""

from tests.campaigns import rebuilds


def test_rebuilds_equal_the_live_tables_during_writes_and_after_a_kill(database_url: str) -> None:
    outcome = rebuilds.run(database_url, rebuilds=4, seed=5)
    assert not outcome.findings, outcome
    assert outcome.kinds["during writes"], outcome
    assert outcome.resumed, outcome
