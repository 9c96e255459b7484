"""SIGTERM of the adapter while calls run: what can end ends, the rest is in doubt, and nothing new begins."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from orders.domain.values import Capabilities, Delivery
from tests.support.adapter_process import AdapterProcess
from tests.support.running_adapter import client_of
from tests.support.slow_exchange import BEGUN_FILE, begun
from tests.support.waiting import wait_until

HALF_A_SECOND, A_MINUTE = 5, 600  # as quantities
EXIT_WITHIN_S = 10.0
SIGNAL_S = 1.0  # until it has come through on a busy machine; without the stop, calls would begin for five seconds more


def test_a_stop_waits_for_calls_that_end_soon_leaves_the_others_in_doubt_and_begins_none(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "begun"
    monkeypatch.setenv(BEGUN_FILE, str(calls))
    exchange, log = "tests.support.slow_exchange:place_order", tmp_path / "log"
    with (
        client_of(database_url, Capabilities()) as client,
        AdapterProcess(database_url, exchange, "", log, max_calls=6, call_timeout_s=120.0) as adapter,
    ):
        long, quick = client.place(3, quantity=A_MINUTE), client.place(24, quantity=HALF_A_SECOND)
        wait_until(lambda: len(begun(calls)) >= 6, what="six calls")
        signalled_at = time.monotonic()
        assert adapter.stop() == 0
        assert time.monotonic() - signalled_at < EXIT_WITHIN_S
        first = begun(calls)
        assert [at for _, at in first if at > signalled_at + SIGNAL_S] == [], "a call began after the signal"
        ran = {order_id for order_id, _ in first}
        assert {client.order(order_id).delivery for order_id in quick if order_id in ran} == {Delivery.ACKED}
        assert {client.order(order_id).delivery for order_id in quick if order_id not in ran} == {Delivery.QUEUED}
        assert {client.order(order_id).delivery for order_id in long} == {Delivery.SENDING}

        adapter.start()
        client.wait_for(quick, lambda order: order.delivery is Delivery.ACKED)
        client.wait_for(long, lambda order: order.delivery is Delivery.IN_DOUBT)
        left = [client.order(order_id) for order_id in long]
    assert all((order.attempts, order.in_doubt) == (1, {1}) for order in left)
    assert Counter(order_id for order_id, _ in begun(calls)) == Counter([*long, *quick])
