"""Every fault of the exchange and a killed adapter, under load (the long form: python -m tests.campaigns.faults)."""

import pytest

from tests.campaigns.faults import run


@pytest.mark.timeout(240)  # of a machine that is busy with other tests; alone it takes some 30 s
def test_no_order_and_no_execution_is_lost_doubled_or_changed_between_clients_log_and_exchange() -> None:
    outcome = run(orders=5_000, kills=6, seed=3, per_second=300)
    assert not outcome.findings, outcome
    assert outcome.balance.closes, outcome
    assert outcome.balance.accepted == outcome.agreement.orders == 5_000
    assert outcome.kills > 3, "both bursts should have met the flow"
    met = {"SubmitInDoubt", "SubmitFailed", "OrderReplaced", "ReplaceRejected", "CancelRejected"}
    assert met <= set(outcome.agreement.events), outcome
    assert outcome.agreement.executions > outcome.agreement.states["executed"], "some orders are filled in parts"
