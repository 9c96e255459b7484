"""Groups A (vanilla) and B (cancel)."""

from orders.domain import commands as c
from orders.domain.errors import RequestPending, UnknownOrder, VenueCannot
from orders.domain.values import OrdStatus, TimeInForce
from tests.support.fix_matrix import (
    NOTHING,
    Message,
    Row,
    acknowledged,
    cancel,
    cancel_reject,
    canceled,
    expired,
    in_doubt,
    line,
    new,
    not_there,
    rejected,
    sending,
    trade,
    working,
)

NEW, PARTLY, FILLED = OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED
PENDING_NEW, PENDING_CANCEL = OrdStatus.PENDING_NEW, OrdStatus.PENDING_CANCEL
CANCELED, REJECTED, EXPIRED = OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED

VENUE_ACCEPTS = "the report Pending Cancel is our own event: the cancel is pending from the request on"
AT_THE_DOOR = "a salesperson's refusal is our 409: no event, the order stays as it is"
TOO_LATE = "the fill and the refusal of the cancel, too late, are one unit: PendingCancel is not shown once more"
HELD = "what the appendix leaves open: a cancel is held until it is known whether the order arrived"

_PARTLY_THEN_CANCEL = (
    *working(),
    line(trade("A", 2_000), "OrderExecuted", PARTLY, 10_000, 2_000, 8_000),
    line(trade("B", 3_000), "OrderExecuted", PARTLY, 10_000, 5_000, 5_000),
    line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 5_000, 5_000),
)

VANILLA = (
    Row(
        "D1-A.1.a",
        "filled order",
        (
            *working(),
            line(trade("A", 2_000), "OrderExecuted", PARTLY, 10_000, 2_000, 8_000),
            line(trade("B", 1_000), "OrderExecuted", PARTLY, 10_000, 3_000, 7_000),
            line(trade("C", 7_000), "OrderExecuted", FILLED, 10_000, 10_000, 0),
        ),
    ),
    Row(
        "D1-A.1.a",
        "filled order, if it is rejected",
        (*sending(), line(rejected(), "OrderRejected", REJECTED, 10_000)),
        variant="rejected",
    ),
    Row(
        "D2-A.1.b",
        "part-filled day order, done for day",
        (
            *working(time_in_force=TimeInForce.DAY),
            line(trade("A", 2_000), "OrderExecuted", PARTLY, 10_000, 2_000, 8_000),
            line(trade("B", 1_000), "OrderExecuted", PARTLY, 10_000, 3_000, 7_000),
            line(expired("day ended"), "OrderExpired", EXPIRED, 10_000, 3_000, 0),
        ),
        differs="there is no DoneForDay: a day order that the venue ends is Expired",
    ),
    Row(
        "D2-A.1.b",
        "day order that was never sent by the end of its day",
        (
            line(new(time_in_force=TimeInForce.DAY), "OrderPlaced", PENDING_NEW, 10_000, 0, 10_000),
            line(Message(c.ExpireUnsent), "OrderExpired", EXPIRED, 10_000, 0, 0),
        ),
        variant="never sent",
        differs="the appendix knows no order that is kept back; it expires on our own word, never_placed",
    ),
)

CANCEL = (
    Row(
        "D3-B.1.a",
        "cancel request issued for a zero-filled order",
        (
            *working(),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(canceled("Y"), "OrderCanceled", CANCELED, 10_000, 0, 0),
        ),
    ),
    Row(
        "D3-B.1.a",
        "cancel of a zero-filled order, rejected by the exchange",
        (
            *working(),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(cancel_reject("Y"), "CancelRejected", NEW, 10_000, 0, 10_000),
        ),
        variant="rejected by exchange",
    ),
    Row(
        "D3-B.1.a",
        "cancel of a zero-filled order, rejected before it is pending",
        (*working(), line(cancel("Y", "X"), VenueCannot, NEW, 10_000, 0, 10_000)),
        variant="rejected at once",
        differs=AT_THE_DOOR,
        venue_can={"cancels": False},
    ),
    Row(
        "D4-B.1.b",
        "cancel request issued for a part-filled order; executions occur whilst it is active",
        (
            *_PARTLY_THEN_CANCEL,
            line(trade("C", 1_000), "OrderExecuted", PENDING_CANCEL, 10_000, 6_000, 4_000),
            line(canceled("Y"), "OrderCanceled", CANCELED, 10_000, 6_000, 0),
        ),
    ),
    Row(
        "D4-B.1.b",
        "cancel of a part-filled order, rejected by the exchange",
        (
            *_PARTLY_THEN_CANCEL,
            line(trade("C", 1_000), "OrderExecuted", PENDING_CANCEL, 10_000, 6_000, 4_000),
            line(cancel_reject("Y"), "CancelRejected", PARTLY, 10_000, 6_000, 4_000),
        ),
        variant="rejected by exchange",
    ),
    Row(
        "D4-B.1.b",
        "the execution is recorded after the cancel request that it passes on the way",
        (
            *working(),
            line(trade("A", 2_000), "OrderExecuted", PARTLY, 10_000, 2_000, 8_000),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 2_000, 8_000),
            line(trade("B", 3_000), "OrderExecuted", PENDING_CANCEL, 10_000, 5_000, 5_000),
            line(canceled("Y"), "OrderCanceled", CANCELED, 10_000, 5_000, 0),
        ),
        variant="crossing",
        differs=VENUE_ACCEPTS,
    ),
    Row(
        "D5-B.1.c",
        "cancel request issued for an order that becomes filled before it can be accepted",
        (
            *_PARTLY_THEN_CANCEL,
            line(trade("C", 5_000), "OrderExecuted CancelRejected", FILLED, 10_000, 10_000, 0),
            line(cancel_reject("Y"), NOTHING, FILLED, 10_000, 10_000, 0),
        ),
        differs=TOO_LATE,
    ),
    Row(
        "B.1.d",
        "cancel request issued for an order that has not yet been acknowledged",
        (
            *sending(),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(acknowledged(), "OrderAccepted", PENDING_CANCEL, 10_000, 0, 10_000),
            line(canceled("Y"), "OrderCanceled", CANCELED, 10_000, 0, 0),
        ),
    ),
    Row(
        "B.1.d",
        "cancel of an order that was not sent yet",
        (
            line(new(), "OrderPlaced", PENDING_NEW, 10_000, 0, 10_000),
            line(cancel("Y", "X"), "OrderCanceled", CANCELED, 10_000, 0, 0),
        ),
        variant="not sent",
        differs="it is canceled at once, on our own word (never_placed): no venue has it",
    ),
    Row(
        "B.1.d",
        "cancel of an order that, as is known then, never arrived",
        (
            *sending(),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(not_there(1), "SubmitFailed OrderCanceled", CANCELED, 10_000, 0, 0),
        ),
        variant="never arrived",
        differs=HELD,
    ),
    Row(
        "B.1.d",
        "cancel of an order in doubt, which an execution proves to be there",
        (
            *sending(),
            line(in_doubt(), "SubmitInDoubt", PENDING_NEW, 10_000, 0, 10_000),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(trade("A", 2_000), "OrderExecuted", PENDING_CANCEL, 10_000, 2_000, 8_000),
            line(acknowledged(), "OrderAccepted", PENDING_CANCEL, 10_000, 2_000, 8_000),
            line(acknowledged(), NOTHING, PENDING_CANCEL, 10_000, 2_000, 8_000),
            line(canceled("Y"), "OrderCanceled", CANCELED, 10_000, 2_000, 0),
        ),
        variant="in doubt",
        differs=HELD,
    ),
    Row(
        "B.1.d",
        "cancel of an order that the venue then rejects",
        (
            *sending(),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(rejected(), "OrderRejected", REJECTED, 10_000, 0, 0),
            line(cancel_reject("Y"), NOTHING, REJECTED, 10_000, 0, 0),
        ),
        variant="order rejected",
        differs="the end of the order settles what is pending: PendingCancel is not shown once more",
    ),
    Row(
        "B.1.e",
        "the acknowledgment and the cancel request cross",
        (
            *working(),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(acknowledged(), NOTHING, PENDING_CANCEL, 10_000, 0, 10_000),
            line(canceled("Y"), "OrderCanceled", CANCELED, 10_000, 0, 0),
        ),
    ),
    Row(
        "B.1.f",
        "cancel request issued for an unknown order",
        (line(cancel("Y", "X"), UnknownOrder),),
        differs="a 404 tells it: no report, no OrdStatus Rejected",
    ),
    Row(
        "B.1.f",
        "after a refused cancel its id is free; a second cancel while one is pending is refused",
        (
            *working(),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(cancel("Z", "X"), RequestPending, PENDING_CANCEL, 10_000, 0, 10_000),
            line(cancel_reject("Z"), NOTHING, PENDING_CANCEL, 10_000, 0, 10_000),
            line(cancel_reject("Y"), "CancelRejected", NEW, 10_000, 0, 10_000),
            line(cancel("Z", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(canceled("Z"), "OrderCanceled", CANCELED, 10_000, 0, 0),
        ),
        variant="repeated",
    ),
)
