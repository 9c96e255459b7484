"""Whether the exchange's story of an order ends as the one that was accepted."""

import pytest

from load.resting_orders import CANCEL, Story, contradicts


@pytest.mark.parametrize(
    ("accepted", "at_exchange"),
    [
        ([10], [10]),
        ([10, 11, 12], [10, 11, 12]),
        ([10, 11, 12, CANCEL], [12, CANCEL]),  # changed before it was sent
        ([10, 11, 12], [11, 12]),
        ([10, 11, CANCEL], []),  # canceled before it was sent
    ],
)
def test_changes_before_it_was_sent_are_in_its_first_terms(accepted: Story, at_exchange: Story) -> None:
    assert contradicts(accepted, at_exchange) is None


@pytest.mark.parametrize(
    ("accepted", "at_exchange"),
    [
        ([10], []),
        ([10], [10, 10]),
        ([10, 11], [10]),  # a replace was lost
        ([10, 11, 12], [10, 12, 11]),
        ([10, 11, CANCEL], [11]),  # a cancel was lost
        ([10, 11, CANCEL], [10, CANCEL, 11]),
        ([10, 11], [10, 11, CANCEL]),
    ],
)
def test_what_was_lost_doubled_or_changed_places_is_named(accepted: Story, at_exchange: Story) -> None:
    assert contradicts(accepted, at_exchange)
