"""The campaign on the log in its short form; `python -m tests.campaigns.log_readers` is the long one."""

import os

import pytest

from tests.campaigns.log_readers import CampaignFailed, run_campaign, spoil

EVENTS = int(os.environ.get("LOG_CAMPAIGN_EVENTS", "50000"))


@pytest.mark.timeout(max(120, EVENTS // 500))
def test_no_reader_skips_or_repeats_an_event_while_writers_are_stopped_and_killed(renewed_database_url: str) -> None:
    seen = run_campaign(renewed_database_url, events=EVENTS, seed=20260102, kills=max(5, EVENTS // 14_000))
    print(seen)
    assert "no gap, no repeat" in seen


def test_the_campaign_finds_a_log_whose_positions_come_from_a_sequence(renewed_database_url: str) -> None:
    spoil(renewed_database_url, "sequence")
    with pytest.raises(CampaignFailed, match=r"BrokenLog|missing"):
        run_campaign(renewed_database_url, events=5_000, seed=1, kills=0)
