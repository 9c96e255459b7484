"""Groups C (cancel/replace of quantity and other terms) and D (sequencing and chaining)."""

from orders.domain.errors import InvalidOrder, OrderEnded, RequestPending, VenueCannot
from orders.domain.values import OrdStatus
from tests.support.fix_matrix import (
    NOTHING,
    Row,
    acknowledged,
    cancel,
    canceled,
    line,
    new,
    not_there,
    replace,
    replace_reject,
    replaced,
    sending,
    trade,
    working,
)

NEW, PARTLY, FILLED, CANCELED = OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED, OrdStatus.CANCELED
PENDING_NEW, PENDING_CANCEL, PENDING = OrdStatus.PENDING_NEW, OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE

AT_THE_DOOR = "a salesperson's refusal is our 409 or 422: no event, the order stays as it is"
PENDING_AT_ONCE = "the replace is pending from the request on: an execution that passes it shows PendingReplace"
ONE_AT_A_TIME = "one replace at a time: the second is refused (409) until the first is answered"
HELD = "what the appendix leaves open: a replace is held until it is known whether the order arrived"

_INCREASING = (
    *working(),
    line(trade("A", 1_000), "OrderExecuted", PARTLY, 10_000, 1_000, 9_000),
    line(replace("Y", "X", 12_000), "ReplaceRequested", PENDING, 10_000, 1_000, 9_000),
    line(trade("B", 100), "OrderExecuted", PENDING, 10_000, 1_100, 8_900),
)
_DECREASING = (
    *working(),
    line(trade("A", 1_000), "OrderExecuted", PARTLY, 10_000, 1_000, 9_000),
    line(trade("B", 500), "OrderExecuted", PARTLY, 10_000, 1_500, 8_500),
    line(replace("Y", "X", 8_000), "ReplaceRequested", PENDING, 10_000, 1_500, 8_500),
    line(trade("C", 100), "OrderExecuted", PENDING, 10_000, 1_600, 8_400),
)
_FIRST_OF_TWO = (
    *working(),
    line(trade("A", 1_000), "OrderExecuted", PARTLY, 10_000, 1_000, 9_000),
    line(replace("Y", "X", 8_000), "ReplaceRequested", PENDING, 10_000, 1_000, 9_000),
)

INCREASE = (
    Row(
        "D6-C.1.a",
        "zero-filled order, replace to increase the quantity",
        (
            *working(),
            line(replace("Y", "X", 11_000), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(replaced("Y", 11_000), "OrderReplaced", NEW, 11_000, 0, 11_000),
            line(trade("A", 1_000), "OrderExecuted", PARTLY, 11_000, 1_000, 10_000),
            line(trade("B", 2_000), "OrderExecuted", PARTLY, 11_000, 3_000, 8_000),
        ),
    ),
    Row(
        "D6-C.1.a",
        "increase of a zero-filled order, rejected by the exchange",
        (
            *working(),
            line(replace("Y", "X", 11_000), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(replace_reject("Y"), "ReplaceRejected", NEW, 10_000, 0, 10_000),
        ),
        variant="rejected by exchange",
    ),
    Row(
        "D6-C.1.a",
        "increase of a zero-filled order, rejected before it is pending",
        (*working(), line(replace("Y", "X", 11_000), VenueCannot, NEW, 10_000, 0, 10_000)),
        variant="rejected at once",
        differs=AT_THE_DOOR,
        venue_can={"replaces": False},
    ),
    Row(
        "D6-C.1.a",
        "increase of an order that was not sent yet",
        (
            line(new(), "OrderPlaced", PENDING_NEW, 10_000, 0, 10_000),
            line(replace("Y", "X", 11_000), "OrderReplaced", PENDING_NEW, 11_000, 0, 11_000),
        ),
        variant="not sent",
        differs="it applies at once, on our own word (never_placed): no venue has the old terms",
    ),
    Row(
        "D6-C.1.a",
        "increase of an order that is not acknowledged yet",
        (
            *sending(),
            line(replace("Y", "X", 11_000), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(acknowledged(), "OrderAccepted", PENDING, 10_000, 0, 10_000),
            line(replaced("Y", 11_000), "OrderReplaced", NEW, 11_000, 0, 11_000),
        ),
        variant="not acknowledged",
        differs=HELD,
    ),
    Row(
        "D6-C.1.a",
        "increase of an order that, as is known then, never arrived",
        (
            *sending(),
            line(replace("Y", "X", 11_000), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(not_there(1), "SubmitFailed OrderReplaced", PENDING_NEW, 11_000, 0, 11_000),
        ),
        variant="never arrived",
        differs=HELD,
    ),
    Row(
        "D7-C.1.b",
        "part-filled order, replace to increase the quantity; an execution occurs whilst it is pending",
        (
            *_INCREASING,
            line(replaced("Y", 12_000), "OrderReplaced", PARTLY, 12_000, 1_100, 10_900),
            line(trade("C", 10_900), "OrderExecuted", FILLED, 12_000, 12_000, 0),
        ),
    ),
    Row(
        "D7-C.1.b",
        "increase of a part-filled order, rejected by the exchange",
        (*_INCREASING, line(replace_reject("Y"), "ReplaceRejected", PARTLY, 10_000, 1_100, 8_900)),
        variant="rejected by exchange",
    ),
    Row(
        "D7-C.1.b",
        "the execution that needs the larger quantity is reported before the replace is",
        (*_INCREASING, line(trade("C", 10_900), "OrderExecuted OrderReplaced", FILLED, 12_000, 12_000, 0)),
        variant="filled first",
        differs="the appendix has the replace reported first; the fills tell that it was carried out",
    ),
    Row(
        "D8-C.1.c",
        "filled order, followed by a replace to increase the quantity",
        (
            *working(),
            line(trade("A", 10_000), "OrderExecuted", FILLED, 10_000, 10_000, 0),
            line(replace("Y", "X", 12_000), OrderEnded, FILLED, 10_000, 10_000, 0),
        ),
        differs="only the appendix's reject: what is executed has ended (400), a new order is needed",
    ),
)

OTHER_TERMS = (
    Row(
        "D9-C.2.a",
        "replace, not for quantity, is rejected as a fill has occurred",
        (
            *working(limit="1.10"),
            line(trade("A", 1_000), "OrderExecuted", PARTLY, 10_000, 1_000, 9_000),
            line(replace("Y", "X", limit="1.11"), "ReplaceRequested", PENDING, 10_000, 1_000, 9_000),
            line(trade("B", 9_000), "OrderExecuted ReplaceRejected", FILLED, 10_000, 10_000, 0),
            line(replace_reject("Y"), NOTHING, FILLED, 10_000, 10_000, 0),
        ),
    ),
    Row(
        "D9-C.2.a",
        "the same at a venue that does not report what is left",
        (
            *working(limit="1.10"),
            line(replace("Y", "X", limit="1.11"), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(trade("A", 10_000, tells_leaves=False), "OrderExecuted", PENDING, 10_000, 10_000, 0),
            line(replace_reject("Y"), "ReplaceRejected", FILLED, 10_000, 10_000, 0),
        ),
        variant="no leaves",
        differs="without LeavesQty an increase may have come first: it stays PendingReplace until the answer",
    ),
)

DECREASE = (
    Row(
        "D10-C.3.a",
        "replace sent whilst an execution is reported, the quantity exceeds what is filled: replaced, then filled",
        (
            *_DECREASING,
            line(replaced("Y", 8_000), "OrderReplaced", PARTLY, 8_000, 1_600, 6_400),
            line(trade("D", 6_400), "OrderExecuted", FILLED, 8_000, 8_000, 0),
        ),
    ),
    Row(
        "D10-C.3.a",
        "decrease rejected by the exchange",
        (*_DECREASING, line(replace_reject("Y"), "ReplaceRejected", PARTLY, 10_000, 1_600, 8_400)),
        variant="rejected by exchange",
    ),
    Row(
        "D11-C.3.b",
        "replace sent whilst an execution is reported, the quantity equals what is filled",
        (
            *working(),
            line(replace("Y", "X", 7_000), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(trade("A", 7_000), "OrderExecuted", PENDING, 10_000, 7_000, 3_000),
            line(replaced("Y", 7_000), "OrderReplaced", FILLED, 7_000, 7_000, 0),
        ),
        differs=PENDING_AT_ONCE,
    ),
    Row(
        "D11-C.3.b",
        "the execution is recorded before the request that it passes on the way",
        (
            *working(),
            line(trade("A", 7_000), "OrderExecuted", PARTLY, 10_000, 7_000, 3_000),
            line(replace("Y", "X", 7_000), "ReplaceRequested", PENDING, 10_000, 7_000, 3_000),
            line(replaced("Y", 7_000), "OrderReplaced", FILLED, 7_000, 7_000, 0),
        ),
        variant="execution first",
    ),
    Row(
        "D12-C.3.c",
        "replace sent whilst an execution is reported, the quantity is below what is filled: amended to that",
        (
            *working(),
            line(replace("Y", "X", 7_000), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(trade("A", 8_000), "OrderExecuted", PENDING, 10_000, 8_000, 2_000),
            line(replaced("Y", 8_000), "OrderReplaced", FILLED, 8_000, 8_000, 0),
        ),
        differs=PENDING_AT_ONCE,
    ),
    Row(
        "D12-C.3.c",
        "a quantity below what is already known to be filled",
        (
            *working(),
            line(trade("A", 8_000), "OrderExecuted", PARTLY, 10_000, 8_000, 2_000),
            line(replace("Y", "X", 7_000), InvalidOrder, PARTLY, 10_000, 8_000, 2_000),
        ),
        variant="execution first",
        differs="a new total below what is filled is refused (422), not amended",
    ),
)

SEQUENCE = (
    Row(
        "D13-D.1.a",
        "one replace is accepted, another one is accepted too",
        (
            *_FIRST_OF_TWO,
            line(trade("B", 500), "OrderExecuted", PENDING, 10_000, 1_500, 8_500),
            line(replaced("Y", 8_000), "OrderReplaced", PARTLY, 8_000, 1_500, 6_500),
            line(trade("C", 2_000), "OrderExecuted", PARTLY, 8_000, 3_500, 4_500),
            line(replace("Z", "Y", 6_000), "ReplaceRequested", PENDING, 8_000, 3_500, 4_500),
            line(replaced("Z", 6_000), "OrderReplaced", PARTLY, 6_000, 3_500, 2_500),
            line(trade("D", 2_500), "OrderExecuted", FILLED, 6_000, 6_000, 0),
        ),
    ),
    Row(
        "D14-D.1.b",
        "one replace is rejected before it is pending, then another one is accepted",
        (
            *working(),
            line(trade("A", 1_000), "OrderExecuted", PARTLY, 10_000, 1_000, 9_000),
            line(replace("Y", "X", 500), InvalidOrder, PARTLY, 10_000, 1_000, 9_000),
            line(trade("B", 500), "OrderExecuted", PARTLY, 10_000, 1_500, 8_500),
            line(replace("Z", "X", 6_000), "ReplaceRequested", PENDING, 10_000, 1_500, 8_500),
            line(replaced("Z", 6_000), "OrderReplaced", PARTLY, 6_000, 1_500, 4_500),
            line(trade("C", 4_500), "OrderExecuted", FILLED, 6_000, 6_000, 0),
        ),
        differs=AT_THE_DOOR,
    ),
    Row(
        "D15-D.1.c",
        "one replace is rejected after it is pending, then another one is accepted",
        (
            *_FIRST_OF_TWO,
            line(trade("B", 500), "OrderExecuted", PENDING, 10_000, 1_500, 8_500),
            line(replace_reject("Y"), "ReplaceRejected", PARTLY, 10_000, 1_500, 8_500),
            line(trade("C", 2_000), "OrderExecuted", PARTLY, 10_000, 3_500, 6_500),
            line(replace("Z", "X", 6_000), "ReplaceRequested", PENDING, 10_000, 3_500, 6_500),
            line(replaced("Z", 6_000), "OrderReplaced", PARTLY, 6_000, 3_500, 2_500),
            line(trade("D", 1_500), "OrderExecuted", PARTLY, 6_000, 5_000, 1_000),
        ),
    ),
)

CHAIN = (
    Row(
        "D16-D.2.a",
        "one replace is followed immediately by another; they are processed one after the other",
        (
            *_FIRST_OF_TWO,
            line(replace("Z", "Y", 7_000), RequestPending, PENDING, 10_000, 1_000, 9_000),
            line(replaced("Y", 8_000), "OrderReplaced", PARTLY, 8_000, 1_000, 7_000),
            line(replace("Z", "Y", 7_000), "ReplaceRequested", PENDING, 8_000, 1_000, 7_000),
            line(replaced("Z", 7_000), "OrderReplaced", PARTLY, 7_000, 1_000, 6_000),
            line(trade("B", 6_000), "OrderExecuted", FILLED, 7_000, 7_000, 0),
        ),
        differs=ONE_AT_A_TIME,
    ),
    Row(
        "D.2",
        "one replace is followed immediately by another, which is rejected as the order is pending replace",
        (
            *_FIRST_OF_TWO,
            line(replace("Z", "Y", 7_000), RequestPending, PENDING, 10_000, 1_000, 9_000),
            line(replaced("Y", 8_000), "OrderReplaced", PARTLY, 8_000, 1_000, 7_000),
            line(trade("B", 2_000), "OrderExecuted", PARTLY, 8_000, 3_000, 5_000),
        ),
        variant="second rejected",
    ),
    Row(
        "D.2",
        "a replace is followed immediately by a cancel, which is sent after it",
        (
            *_FIRST_OF_TWO,
            line(cancel("Z", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 1_000, 9_000),
            line(replaced("Y", 8_000), "OrderReplaced", PENDING_CANCEL, 8_000, 1_000, 7_000),
            line(replace("W", "Y", 9_000), RequestPending, PENDING_CANCEL, 8_000, 1_000, 7_000),
            line(canceled("Z"), "OrderCanceled", CANCELED, 8_000, 1_000, 0),
        ),
        variant="then cancel",
        differs="the appendix has no such matrix; PendingCancel goes before PendingReplace, as its precedence says",
    ),
)
