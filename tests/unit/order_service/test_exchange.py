"""What the service believes of its venue."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange_adapter.place_order import PlaceOrderVenue
from exchange_adapter.simulated_venue import SimulatedVenue
from order_service.configuration.settings import load_settings
from order_service.exchange import capabilities
from orders.domain.values import Capabilities

NO_FILE = Path(__file__).parent / "no.env"
PLAIN = "examples.stock_exchange:place_order"


@pytest.mark.parametrize(("chosen", "resends"), [("", False), ("hold", False), ("resend", True)])
def test_what_is_done_in_doubt_is_the_operators_choice(chosen: str, resends: bool) -> None:
    settings = load_settings({"EXCHANGE": PLAIN, "ON_DOUBT": chosen}, NO_FILE)
    assert capabilities(settings) == Capabilities(resends_in_doubt=resends)
    assert not PlaceOrderVenue.capabilities.resends_in_doubt


def test_the_choice_is_none_where_the_exchange_tells_repeats_apart() -> None:
    settings = load_settings({"ON_DOUBT": "resend"}, NO_FILE)
    assert capabilities(settings).deduplicates == SimulatedVenue.capabilities.deduplicates
    assert not capabilities(settings).resends_blindly
