"""Groups H (good till), I (time in force) and J (execution cancels and corrects)."""

from orders.domain.errors import OrderEnded
from orders.domain.values import OrdStatus, TimeInForce
from tests.support.fix_matrix import (
    NOTHING,
    Row,
    cancel,
    cancel_reject,
    canceled,
    expired,
    line,
    replace,
    replace_reject,
    replaced,
    trade,
    trade_cancel,
    trade_correct,
    working,
)

NEW, PARTLY, FILLED = OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED
PENDING_CANCEL, PENDING_REPLACE = OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE
CANCELED, EXPIRED = OrdStatus.CANCELED, OrdStatus.EXPIRED

NO_DAYS = "there is no DoneForDay and no DayCumQty: a good-till-canceled order works on, its renewal changes nothing"
VENUES_WORD = (
    "the appendix has Canceled; a venue that says Expired, as the simulated exchange does, is taken at its word"
)

_NEXT_DAY = (
    *working(),
    line(trade("B", 2_000), "OrderExecuted", PARTLY, 10_000, 2_000, 8_000),
    line(replaced(None, 10_000), NOTHING, PARTLY, 10_000, 2_000, 8_000),
)

GOOD_TILL = (
    Row(
        "D27-H.1.a",
        "GTC order partially filled, restated (renewed) and partially filled the following day",
        (*_NEXT_DAY, line(trade("E", 1_000), "OrderExecuted", PARTLY, 10_000, 3_000, 7_000)),
        differs=NO_DAYS,
    ),
    Row(
        "D29-H.1.c",
        "GTC order partially filled, restated (renewed) and canceled the following day",
        (
            *_NEXT_DAY,
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 2_000, 8_000),
            line(canceled("Y"), "OrderCanceled", CANCELED, 10_000, 2_000, 0),
        ),
        differs=NO_DAYS,
    ),
    Row(
        "D29-H.1.c",
        "GTC order, the following day's cancel is rejected by the exchange",
        (
            *_NEXT_DAY,
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 2_000, 8_000),
            line(cancel_reject("Y"), "CancelRejected", PARTLY, 10_000, 2_000, 8_000),
        ),
        variant="rejected by exchange",
        differs=NO_DAYS,
    ),
    Row(
        "D30-H.1.d",
        "GTC order partially filled, restated (renewed), followed by a replace to increase the quantity",
        (
            *_NEXT_DAY,
            line(replace("Y", "X", 15_000), "ReplaceRequested", PENDING_REPLACE, 10_000, 2_000, 8_000),
            line(trade("E", 1_000), "OrderExecuted", PENDING_REPLACE, 10_000, 3_000, 7_000),
            line(replaced("Y", 15_000), "OrderReplaced", PARTLY, 15_000, 3_000, 12_000),
        ),
        differs=NO_DAYS,
    ),
    Row(
        "D30-H.1.d",
        "GTC order, the following day's replace is rejected by the exchange",
        (
            *_NEXT_DAY,
            line(replace("Y", "X", 15_000), "ReplaceRequested", PENDING_REPLACE, 10_000, 2_000, 8_000),
            line(trade("E", 1_000), "OrderExecuted", PENDING_REPLACE, 10_000, 3_000, 7_000),
            line(replace_reject("Y"), "ReplaceRejected", PARTLY, 10_000, 3_000, 7_000),
        ),
        variant="rejected by exchange",
        differs=NO_DAYS,
    ),
)

TIME_IN_FORCE = (
    Row(
        "D32-I.1.a",
        "fill or kill order cannot be filled",
        (*working(time_in_force=TimeInForce.FOK), line(canceled(), "OrderCanceled", CANCELED, 10_000, 0, 0)),
    ),
    Row(
        "D32-I.1.a",
        "fill or kill order that the venue lets expire",
        (
            *working(time_in_force=TimeInForce.FOK),
            line(expired("fill or kill"), "OrderExpired", EXPIRED, 10_000, 0, 0),
        ),
        variant="expired",
        differs=VENUES_WORD,
    ),
    Row(
        "D33-I.1.b",
        "immediate or cancel order that cannot be immediately hit",
        (
            *working(time_in_force=TimeInForce.IOC),
            line(trade("A", 1_000), "OrderExecuted", PARTLY, 10_000, 1_000, 9_000),
            line(canceled(), "OrderCanceled", CANCELED, 10_000, 1_000, 0),
        ),
    ),
    Row(
        "D33-I.1.b",
        "immediate or cancel order of which the venue lets the rest expire",
        (
            *working(time_in_force=TimeInForce.IOC),
            line(trade("A", 1_000), "OrderExecuted", PARTLY, 10_000, 1_000, 9_000),
            line(expired("immediate or cancel"), "OrderExpired", EXPIRED, 10_000, 1_000, 0),
        ),
        variant="expired",
        differs=VENUES_WORD,
    ),
    Row(
        "D33-I.1.b",
        "immediate or cancel order whose end is reported before its fill",
        (
            *working(time_in_force=TimeInForce.IOC),
            line(canceled(), "OrderCanceled", CANCELED, 10_000, 0, 0),
            line(trade("A", 1_000), "OrderExecuted", CANCELED, 10_000, 1_000, 0),
        ),
        variant="reordered",
        differs="the appendix has reports in order; a late fill counts and leaves the end as it is",
    ),
)

CORRECTIONS = (
    Row(
        "D34-J.1.a",
        "filled order, followed by correction and cancellation of executions",
        (
            *working(),
            line(trade("C", 1_000, "100"), "OrderExecuted", PARTLY, 10_000, 1_000, 9_000, "100"),
            line(trade("D", 9_000, "110"), "OrderExecuted", FILLED, 10_000, 10_000, 0, "109"),
            line(trade_cancel("E", "C"), "ExecutionBusted", PARTLY, 10_000, 9_000, 1_000, "110"),
            line(trade_correct("F", "D", 9_000, "100"), "ExecutionCorrected", PARTLY, 10_000, 9_000, 1_000, "100"),
            line(trade("G", 1_000, "120"), "OrderExecuted", FILLED, 10_000, 10_000, 0, "102"),
            line(trade_correct("H", "F", 9_000, "120"), "ExecutionCorrected", FILLED, 10_000, 10_000, 0, "120"),
            line(replace("Y", "X", 12_000), OrderEnded, FILLED, 10_000, 10_000, 0, "120"),
            line(trade_correct("K", "H", 9_500, "120"), "ExecutionCorrected", FILLED, 10_000, 10_500, 0, "120"),
        ),
        differs="as in D8, what is executed cannot be increased (400); so the last correction overfills",
    ),
    Row(
        "D34-J.1.a",
        "the reports of corrections come before what they refer to",
        (
            *working(),
            line(trade_correct("F", "D", 9_000, "100"), "ExecutionCorrected", PARTLY, 10_000, 9_000, 1_000, "100"),
            line(trade_cancel("E", "C"), "ExecutionBusted", PARTLY, 10_000, 9_000, 1_000, "100"),
            line(trade("D", 9_000, "110"), "OrderExecuted", PARTLY, 10_000, 9_000, 1_000, "100"),
            line(trade("C", 1_000, "100"), "OrderExecuted", PARTLY, 10_000, 9_000, 1_000, "100"),
            line(trade("G", 1_000, "120"), "OrderExecuted", FILLED, 10_000, 10_000, 0, "102"),
        ),
        variant="reordered",
        differs="the appendix has reports in order; the sums are the same in any",
    ),
    Row(
        "D35-J.1.b",
        "a canceled order followed by a busted execution and a new execution",
        (
            *working(),
            line(trade("B", 5_000, "50"), "OrderExecuted", PARTLY, 10_000, 5_000, 5_000, "50"),
            line(cancel("Y", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 5_000, 5_000, "50"),
            line(canceled("Y"), "OrderCanceled", CANCELED, 10_000, 5_000, 0, "50"),
            line(trade_cancel("E", "B"), "ExecutionBusted", CANCELED, 10_000, 0, 0),
            line(trade("F", 4_000, "51"), "OrderExecuted", CANCELED, 10_000, 4_000, 0, "51"),
        ),
    ),
    Row(
        "D35-J.1.b",
        "a canceled order that late fills complete",
        (
            *working(),
            line(canceled(), "OrderCanceled", CANCELED, 10_000, 0, 0),
            line(trade("A", 10_000), "OrderExecuted", FILLED, 10_000, 10_000, 0),
            line(trade_cancel("B", "A"), "ExecutionBusted", CANCELED, 10_000, 0, 0),
        ),
        variant="completed",
        differs="the appendix has no such matrix; Filled goes before Canceled, as its precedence says",
    ),
    Row(
        "D35-J.1.b",
        "the report that the order was canceled comes before that of the busted execution",
        (
            *working(),
            line(trade("A", 10_000), "OrderExecuted", FILLED, 10_000, 10_000, 0),
            line(canceled(), "OrderCanceled", FILLED, 10_000, 10_000, 0),
            line(canceled(), NOTHING, FILLED, 10_000, 10_000, 0),
            line(trade_cancel("B", "A"), "ExecutionBusted", CANCELED, 10_000, 0, 0),
        ),
        variant="reordered",
        differs="the appendix has reports in order; the end is kept, and holds once the order is full no more",
    ),
    Row(
        "D36-J.1.c",
        "GTC order partially filled over two days, with corrections of quantity on both executions",
        (
            *_NEXT_DAY,
            line(trade("E", 1_000), "OrderExecuted", PARTLY, 10_000, 3_000, 7_000),
            line(trade_correct("F", "B", 1_500), "ExecutionCorrected", PARTLY, 10_000, 2_500, 7_500),
            line(trade_correct("G", "E", 500), "ExecutionCorrected", PARTLY, 10_000, 2_000, 8_000),
            line(trade_correct("G", "E", 500), NOTHING, PARTLY, 10_000, 2_000, 8_000),
        ),
        differs=NO_DAYS,
    ),
)
