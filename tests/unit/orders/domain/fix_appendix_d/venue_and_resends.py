"""Groups E (unsolicited), F (order reject and resend) and G (status)."""

from orders.domain.errors import NotApplicable
from orders.domain.values import Evidence, OrdStatus
from tests.support.fix_matrix import (
    NOTHING,
    Row,
    acknowledged,
    canceled,
    in_doubt,
    line,
    new,
    not_there,
    rejected,
    replaced,
    sending,
    sent,
    trade,
    working,
)

NEW, PARTLY, FILLED, CANCELED = OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED, OrdStatus.CANCELED
PENDING_NEW, REJECTED = OrdStatus.PENDING_NEW, OrdStatus.REJECTED

BY_KEY = "the key is the order: the answer to a repeat is the order as it is (200), with other content 409; no report"
AS_CLIENT = "here we are the one who may send twice, and the venue the one who tells repeats apart"

_PARTLY = (*working(), line(trade("A", 1_000), "OrderExecuted", PARTLY, 10_000, 1_000, 9_000))

UNSOLICITED = (
    Row(
        "D19-E.1.b",
        "unsolicited cancel of a part-filled order",
        (*_PARTLY, line(canceled(reason="agreed by phone"), "OrderCanceled", CANCELED, 10_000, 1_000, 0)),
    ),
    Row(
        "D20-E.1.c",
        "unsolicited replacement of a part-filled order",
        (
            *working(),
            line(replaced(None, 11_000), "OrderReplaced", NEW, 11_000, 0, 11_000),
            line(trade("A", 1_000), "OrderExecuted", PARTLY, 11_000, 1_000, 10_000),
            line(replaced(None, 12_000), "OrderReplaced", PARTLY, 12_000, 1_000, 11_000),
        ),
        differs="ExecType Restated is our OrderReplaced without a request",
    ),
    Row(
        "D21-E.1.d",
        "unsolicited reduction of the order quantity by the sell-side",
        (
            *working(),
            line(replaced(None, 9_000), "OrderReplaced", NEW, 9_000, 0, 9_000),
            line(trade("A", 9_000), "OrderExecuted", FILLED, 9_000, 9_000, 0),
        ),
        differs="ExecType Restated is our OrderReplaced without a request",
    ),
)

RESEND = (
    Row(
        "D22-F.1.a",
        "order rejected due to duplicate ClOrdID",
        (*_PARTLY, line(new(15_000), NotApplicable, PARTLY, 10_000, 1_000, 9_000)),
        differs=BY_KEY,
    ),
    Row(
        "D22-F.1.a",
        "the venue rejects an attempt as a duplicate, and the order by it",
        (*sending(), line(rejected(), "OrderRejected", REJECTED, 10_000), line(rejected(), NOTHING, REJECTED, 10_000)),
        variant="by the venue",
    ),
    Row(
        "D31-F.1.b",
        "poss resend and duplicate ClOrdID",
        (*working(), line(new(), NotApplicable, NEW, 10_000, 0, 10_000)),
        differs=BY_KEY,
    ),
    Row(
        "D31-F.1.b",
        "poss resend to the venue after a timeout: one order, whichever attempt it answers",
        (
            *sending(),
            line(in_doubt(1), "SubmitInDoubt", PENDING_NEW, 10_000, 0, 10_000),
            line(sent(), "SubmitStarted", PENDING_NEW, 10_000, 0, 10_000),
            line(acknowledged(), "OrderAccepted", NEW, 10_000, 0, 10_000),
            line(acknowledged(), NOTHING, NEW, 10_000, 0, 10_000),
            line(in_doubt(2), NOTHING, NEW, 10_000, 0, 10_000),
            line(sent(), NotApplicable, NEW, 10_000, 0, 10_000),
        ),
        variant="to the venue",
        differs=AS_CLIENT,
    ),
    Row(
        "D31-F.1.b",
        "no resend to a venue that does not tell repeats apart: the order is held",
        (
            *sending(),
            line(in_doubt(1), "SubmitInDoubt", PENDING_NEW, 10_000, 0, 10_000),
            line(sent(), NotApplicable, PENDING_NEW, 10_000, 0, 10_000),
        ),
        variant="no deduplication",
        differs=AS_CLIENT,
        venue_can={"deduplicates": False},
    ),
    Row(
        "D31-F.1.b",
        "poss dup of reports: each counts once",
        (
            *_PARTLY,
            line(trade("A", 1_000), NOTHING, PARTLY, 10_000, 1_000, 9_000),
            line(trade("B", 9_000), "OrderExecuted", FILLED, 10_000, 10_000, 0),
            line(trade("A", 1_000), NOTHING, FILLED, 10_000, 10_000, 0),
            line(trade("B", 9_000), NOTHING, FILLED, 10_000, 10_000, 0),
        ),
        variant="of reports",
    ),
)

STATUS = (
    Row(
        "D24-G.1.a",
        "order status request rejected for unknown order",
        (
            *sending(),
            line(in_doubt(1), "SubmitInDoubt", PENDING_NEW, 10_000, 0, 10_000),
            line(not_there(1, evidence=Evidence.VENUE_QUERY), "SubmitFailed", PENDING_NEW, 10_000, 0, 10_000),
            line(sent(), "SubmitStarted", PENDING_NEW, 10_000, 0, 10_000),
        ),
        differs="it is our question to the venue; an order that it does not know is queued again, not Rejected",
    ),
    Row(
        "D26-G.1.c",
        "order sent, immediately followed by a status request; further ones during its life",
        (
            *sending(),
            line(in_doubt(1), "SubmitInDoubt", PENDING_NEW, 10_000, 0, 10_000),
            line(acknowledged(Evidence.VENUE_QUERY), "OrderAccepted", NEW, 10_000, 0, 10_000),
            line(acknowledged(Evidence.VENUE_QUERY), NOTHING, NEW, 10_000, 0, 10_000),
            line(trade("A", 2_000), "OrderExecuted", PARTLY, 10_000, 2_000, 8_000),
            line(acknowledged(Evidence.VENUE_QUERY), NOTHING, PARTLY, 10_000, 2_000, 8_000),
            line(trade("B", 8_000), "OrderExecuted", FILLED, 10_000, 10_000, 0),
            line(acknowledged(Evidence.VENUE_QUERY), NOTHING, FILLED, 10_000, 10_000, 0),
        ),
        differs="it is our question to the venue; a client's is GET /orders/{id}, the order after its last event",
    ),
)
