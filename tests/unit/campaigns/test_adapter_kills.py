"""When the adapter is killed, and the exchange goes away."""

from itertools import pairwise
from unittest.mock import Mock

import pytest

from load.order_flow import OrderFlow
from tests.campaigns import faults
from tests.campaigns.adapter_kills import BURST, KILL, OUTAGE, deeds
from tests.support.running_service import RunningService


@pytest.mark.parametrize(("orders", "kills"), [(100_000, 100), (5_000, 6), (400, 3), (1_000, 1)])
def test_kills_are_spread_over_all_orders_and_each_burst_is_followed_by_an_outage(orders: int, kills: int) -> None:
    planned = deeds(orders, kills)
    assert [deed.what for deed in planned].count(KILL) == kills
    assert all(0 < deed.accepted < orders for deed in planned)
    assert all(one.accepted < other.accepted for one, other in pairwise(planned))
    assert planned[-1].what == OUTAGE
    in_a_row = "".join("k" if deed.what == KILL else " " for deed in planned).split()
    assert all(1 <= len(burst) <= BURST for burst in in_a_row)


def test_a_flow_that_ended_early_is_not_killed_under_and_only_kills_that_were_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow = Mock(spec=OrderFlow, orders=400, accepted=set(range(400)), running=True)
    killed: list[int] = []

    def kill(service: RunningService) -> None:
        killed.append(1)
        flow.running = len(killed) < 2

    monkeypatch.setattr(faults, "kill_adapter", kill)
    done = faults.break_things(Mock(spec=RunningService), flow, Mock(spec=faults.Faults), 400, 5)
    assert (done, len(killed)) == (2, 2)
