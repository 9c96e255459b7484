"""What no command may record, whatever the order: figures that cannot be counted, and words that are not the venue's.

The venue's word wins, but an order must stay readable for ever: a price that is no number would spoil every later sum.
"""

from __future__ import annotations

from decimal import Decimal

from orders.bounds import MAX_QUANTITY, MAX_REPORTED_DIGITS
from orders.domain import commands as c
from orders.domain.terms import written_digits
from orders.domain.values import VENUES_WORD, Evidence

_FAILURES = VENUES_WORD | {Evidence.NEVER_SENT}


def unfit(command: c.Command) -> str | None:
    """What is wrong with the command, in a person's words; None where nothing is."""
    evidence = getattr(command, "evidence", None)
    words = _FAILURES if isinstance(command, c.RecordSubmitFailed) else VENUES_WORD
    if evidence is not None and evidence not in words:
        return f"{evidence.value} is not the exchange's word"
    match command:
        case c.RecordExecution(exec_id=exec_id, quantity=quantity, price=price):
            return _uncountable(f"execution {exec_id!r}", quantity, price)
        case c.RecordCorrection(exec_id=exec_id, ref_exec_id=ref, quantity=quantity, price=price):
            return _of_itself(exec_id, ref) or _uncountable(f"correction {exec_id!r}", quantity, price)
        case c.RecordBust(exec_id=exec_id, ref_exec_id=ref):
            return _of_itself(exec_id, ref)
        case c.RecordReplaced(quantity=quantity, limit_price=price):
            return _uncountable("a replace", quantity, price)
    return None


def _of_itself(exec_id: str, ref_exec_id: str) -> str | None:
    return f"execution {exec_id!r} refers to itself" if exec_id == ref_exec_id else None


def _uncountable(what: str, quantity: int, price: Decimal | None) -> str | None:
    """A price may be zero or less: spreads and barrels of oil were sold so."""
    if not 0 < quantity <= MAX_QUANTITY:
        return f"{what} has a quantity that is none: {quantity}"
    if price is not None and (not price.is_finite() or written_digits(price) > MAX_REPORTED_DIGITS):
        return f"{what} has a price that is none: {price}"
    return None
