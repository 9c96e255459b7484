"""All rows, in the appendix's order, and the matrices that have none, with the reason."""

from tests.support.fix_matrix import Row
from tests.unit.orders.domain.fix_appendix_d import (
    executions_and_cancels,
    late_words,
    replaces,
    time_and_corrections,
    venue_and_resends,
)

ROWS: tuple[Row, ...] = (
    *executions_and_cancels.VANILLA,
    *executions_and_cancels.CANCEL,
    *replaces.INCREASE,
    *late_words.CARRIED_OUT,
    *replaces.OTHER_TERMS,
    *replaces.DECREASE,
    *replaces.SEQUENCE,
    *replaces.CHAIN,
    *venue_and_resends.UNSOLICITED,
    *venue_and_resends.RESEND,
    *venue_and_resends.STATUS,
    *time_and_corrections.GOOD_TILL,
    *time_and_corrections.TIME_IN_FORCE,
    *time_and_corrections.CORRECTIONS,
)

DOES_NOT_APPLY = {
    "D17-D.2.b": "several replaces pending at once: there is one at a time",
    "D18-E.1.a": "telephoned order: an order comes through the API, so that it has an id",
    "E.1.e": "cancel if not best: an instruction (ExecInst) that orders here do not have",
    "D23-F.1.c": "order submitted by word of mouth before: nobody else enters orders",
    "D25-G.1.b": "nothing done, the CMS style of a status: a status is the order itself",
    "D28-H.1.b": "2:1 stock split: no corporate actions",
    "K": "trading halts: the venue keeps the order or ends it, and its word is taken (D19)",
    "L": "guarantees of execution (Stopped) and orders for an amount of cash (CashOrderQty): not offered",
}
