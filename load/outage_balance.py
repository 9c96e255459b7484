"""What must hold after an outage: every order placed once and shown, its changes at the exchange as accepted."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import msgspec

from load.balance import balance
from load.outage_run import Desk
from load.resting_orders import contradicts
from load.servers import HOST
from order_client import Order, OrderClient
from simulated_exchange.audit import audit
from simulated_exchange.journal import read_journal

SETTLE_S = 150.0  # an order in doubt with a cancel: 72 s until "unknown order" counts, and the next attempt
POLL_S = 0.2
MAX_FINDINGS = 20
EXPECTED_STATES = {"working", "filled", "canceled"}


def settled_findings(port: int, desk: Desk) -> tuple[Counter[str], list[str]]:
    """Waits until all is settled; the states of the orders, and what is wrong."""
    with OrderClient(f"http://{HOST}:{port}") as client:
        give_up_at = time.monotonic() + SETTLE_S
        while not all(map(_settled, client.list(status="Placed"))) and time.monotonic() < give_up_at:
            time.sleep(POLL_S)
        orders = {str(order.order_id): msgspec.to_builtins(order) for order in client.list()}
    found = balance(desk.accepted, orders.values())
    findings = [str(found.findings)] if found.findings else []
    wrong = {state: number for state, number in found.states.items() if state not in EXPECTED_STATES}
    if wrong:
        findings.append(f"orders did not settle: {wrong}")
    findings += audit(read_journal(desk.journal.path)).findings
    findings += _at_exchange(desk, orders)
    findings += [f"{answer} ({number} times)" for answer, number in desk.changes.unexpected().items()]
    return found.states, findings[:MAX_FINDINGS]


def _settled(order: Order) -> bool:
    resting = order.delivery == "acked" and order.type == "limit"
    return resting and not order.ord_status.startswith("Pending")


def _at_exchange(desk: Desk, orders: dict[str, dict[str, Any]]) -> list[str]:
    desk.journal.read()
    stories, changed = desk.journal.stories, desk.changes.orders
    findings = [f"{order_id} is at the exchange and nobody placed it" for order_id in stories.keys() - orders.keys()]
    for order_id, order in orders.items():
        resting = changed.get(order_id)
        if resting is not None and resting.unsure:
            continue
        accepted = [order["quantity"]] if resting is None else resting.story
        if wrong := contradicts(accepted, stories.get(order_id, [])):
            findings.append(f"{order_id} {wrong}")
        if resting is not None and resting.canceled != (order["status"] == "Canceled"):
            findings.append(f"{order_id} is {order['status']}, its story {resting.story}")
    return findings
