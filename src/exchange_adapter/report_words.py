"""Execution reports as commands of the domain. Pure."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from msgspec.structs import replace

from exchange_adapter.reconciler import Stamp, short, storable
from exchange_adapter.venue import Report, ReportKind
from orders.domain import commands as c
from orders.domain.fitness import unfit
from orders.domain.order import Order
from orders.domain.values import Evidence

_REPORT = Evidence.VENUE_REPORT
NO_REASON = "no reason given"
_TEXTS = ("order_ref", "venue_order_id", "exec_id", "ref_exec_id", "request_id", "reason")


def storable_report(report: Report) -> Report:
    """The report with texts that can be stored: a venue's client may hand out any."""
    texts = {name: storable(text) for name in _TEXTS if (text := getattr(report, name)) and not text.isascii()}
    return replace(report, **texts) if texts else report


def order_id_of(report: Report) -> UUID | None:
    """Our order's id; None where the venue's is not one of ours."""
    return _uuid(report.order_ref)


def command_of(report: Report, order: Order, stamp: Stamp) -> c.Command | None:
    """What the report says of the order; None where a field is missing that it cannot do without, or holds what the
    domain does not record (a price that is no number)."""
    command = _read(report, order, stamp)
    return command if command is None or unfit(command) is None else None


def _read(report: Report, order: Order, stamp: Stamp) -> c.Command | None:
    match report:
        case Report(kind=ReportKind.ACCEPTED):
            return c.RecordAccepted(**stamp(), venue_order_id=report.venue_order_id, evidence=_REPORT)
        case Report(kind=ReportKind.REJECTED):
            return c.RecordRejected(**stamp(), reason=short(report.reason or NO_REASON), evidence=_REPORT)
        case Report(kind=ReportKind.FILLED, exec_id=str(exec_id), quantity=int(quantity), price=Decimal() as price):
            return c.RecordExecution(**stamp(), exec_id=exec_id, quantity=quantity, price=price, leaves=report.leaves)
        case Report(kind=ReportKind.BUSTED, exec_id=str(exec_id), ref_exec_id=str(ref)):
            return c.RecordBust(**stamp(), exec_id=exec_id, ref_exec_id=ref)
        case Report(
            kind=ReportKind.CORRECTED,
            exec_id=str(exec_id),
            ref_exec_id=str(ref),
            quantity=int(quantity),
            price=Decimal() as price,
        ):
            return c.RecordCorrection(**stamp(), exec_id=exec_id, ref_exec_id=ref, quantity=quantity, price=price)
        case Report(kind=ReportKind.CANCELED):
            return c.RecordCanceled(**stamp(), request_id=_request(report), reason=_reason(report))
        case Report(kind=ReportKind.EXPIRED):
            return c.RecordExpired(**stamp(), reason=_reason(report))
        case Report(kind=ReportKind.REPLACED):
            return c.RecordReplaced(
                **stamp(),
                quantity=order.quantity if report.quantity is None else report.quantity,
                limit_price=order.limit_price if report.limit_price is None else report.limit_price,
                request_id=_request(report),
            )
        case Report(kind=ReportKind.CANCEL_REJECTED):
            return c.RecordCancelRejected(
                **stamp(), reason=short(report.reason or NO_REASON), request_id=_request(report)
            )
        case Report(kind=ReportKind.REPLACE_REJECTED):
            return c.RecordReplaceRejected(
                **stamp(), reason=short(report.reason or NO_REASON), request_id=_request(report)
            )
    return None


def _reason(report: Report) -> str | None:
    return None if report.reason is None else short(report.reason)


def _request(report: Report) -> UUID | None:
    return None if report.request_id is None else _uuid(report.request_id)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
