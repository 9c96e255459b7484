"""Of group C: a replace that was told as too late, and that the exchange says it carried out."""

from orders.domain.values import OrdStatus
from tests.support.fix_matrix import NOTHING, Row, cancel, canceled, line, replace, replaced, trade, working

PARTLY, FILLED, CANCELED = OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED, OrdStatus.CANCELED
PENDING_CANCEL, PENDING = OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_REPLACE

TOLD_TOO_EARLY = "with nothing left the replace is told as too late; the exchange's own word on it, when it comes, wins"

CARRIED_OUT = (
    Row(
        "D8-C.1.c",
        "the replace was asked for before the fill, and the exchange carries it out after it",
        (
            *working(),
            line(replace("Y", "X", 12_000), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(trade("A", 10_000), "OrderExecuted ReplaceRejected", FILLED, 10_000, 10_000, 0),
            line(replaced("Y", 12_000), "OrderReplaced", PARTLY, 12_000, 10_000, 2_000),
            line(trade("B", 2_000), "OrderExecuted", FILLED, 12_000, 12_000, 0),
        ),
        variant="carried out",
        differs=TOLD_TOO_EARLY,
    ),
    Row(
        "D8-C.1.c",
        "the same, and the exchange tells of it again after another replace",
        (
            *working(),
            line(replace("Y", "X", 12_000), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(trade("A", 10_000), "OrderExecuted ReplaceRejected", FILLED, 10_000, 10_000, 0),
            line(replaced("Y", 12_000), "OrderReplaced", PARTLY, 12_000, 10_000, 2_000),
            line(replaced("Y", 12_000), NOTHING, PARTLY, 12_000, 10_000, 2_000),
            line(replace("Z", "Y", 15_000), "ReplaceRequested", PENDING, 12_000, 10_000, 2_000),
            line(replaced("Z", 15_000), "OrderReplaced", PARTLY, 15_000, 10_000, 5_000),
            line(replaced("Y", 12_000), NOTHING, PARTLY, 15_000, 10_000, 5_000),
        ),
        variant="carried out and repeated",
        differs=TOLD_TOO_EARLY,
    ),
    Row(
        "D8-C.1.c",
        "the same with a cancel, carried out before the replace is told",
        (
            *working(),
            line(replace("Y", "X", 12_000), "ReplaceRequested", PENDING, 10_000, 0, 10_000),
            line(cancel("Z", "X"), "CancelRequested", PENDING_CANCEL, 10_000, 0, 10_000),
            line(trade("A", 10_000), "OrderExecuted ReplaceRejected CancelRejected", FILLED, 10_000, 10_000, 0),
            line(canceled("Z"), "OrderCanceled", FILLED, 10_000, 10_000, 0),
            line(canceled("Z"), NOTHING, FILLED, 10_000, 10_000, 0),
            line(replaced("Y", 12_000), "OrderReplaced", CANCELED, 12_000, 10_000, 0),
        ),
        variant="carried out and canceled",
        differs=TOLD_TOO_EARLY,
    ),
)
