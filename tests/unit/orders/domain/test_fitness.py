"""What no venue can make us record: figures that are none, and words that are not its own."""

from decimal import Decimal
from typing import Any

import pytest

from orders.domain import commands as c
from orders.domain.errors import NotApplicable
from orders.domain.values import Evidence
from tests.support.given import USUALLY, given
from tests.support.order_events import accepted, corrected, executed, placed, replace_requested, started

AT_THE_VENUE = given(placed(), started(), accepted())
FIGURES = [c.RecordExecution, c.RecordCorrection]
OURS = [Evidence.NEVER_PLACED, Evidence.VENUE_CANNOT, Evidence.OPERATOR]
SAYS_HOW = [kind for kind in USUALLY if "evidence" in kind.__struct_fields__]


@pytest.mark.parametrize("kind", FIGURES)
@pytest.mark.parametrize("quantity", [0, -1, 1_000_000_001, 10**30])
def test_a_quantity_that_cannot_be_is_not_counted(kind: type[c.Command], quantity: int) -> None:
    AT_THE_VENUE.when(kind, quantity=quantity).refuses(NotApplicable, f"has a quantity that is none: {quantity}")


@pytest.mark.parametrize("kind", FIGURES)
@pytest.mark.parametrize("price", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+40", "1E-41", "1E+999999", "1E-999999"])
def test_a_price_that_cannot_be_is_not_counted(kind: type[c.Command], price: str) -> None:
    AT_THE_VENUE.when(kind, price=Decimal(price)).refuses(NotApplicable, "has a price that is none")


@pytest.mark.parametrize("price", ["0", "-0", "-37.63", "123456789012345678", "1E+2", "1E+39", "1E-40"])
def test_any_other_price_is_counted_even_nothing_and_less(price: str) -> None:
    AT_THE_VENUE.when(c.RecordExecution, price=Decimal(price)).then(executed("fill", price=price))
    AT_THE_VENUE.when(c.RecordCorrection, price=Decimal(price)).then(corrected("fill", 5, price=price))


@pytest.mark.parametrize("kind", [c.RecordBust, c.RecordCorrection])
def test_a_report_that_refers_to_itself_is_none(kind: type[c.Command]) -> None:
    AT_THE_VENUE.when(kind, exec_id="A", ref_exec_id="A").refuses(NotApplicable, "'A' refers to itself")


@pytest.mark.parametrize(
    "terms", [{"quantity": 0}, {"quantity": -5}, {"limit_price": Decimal("NaN")}, {"limit_price": Decimal("1E+40")}]
)
def test_terms_that_cannot_be_are_not_taken_over(terms: dict[str, Any]) -> None:
    waiting = given(placed(), started(), accepted(), replace_requested())
    waiting.when(c.RecordReplaced, **terms).refuses(NotApplicable, "that is none")


@pytest.mark.parametrize("kind", SAYS_HOW)
@pytest.mark.parametrize("evidence", OURS)
def test_the_venue_cannot_say_what_only_we_can_know(kind: type[c.Command], evidence: Evidence) -> None:
    given(placed(), started()).when(kind, evidence=evidence).refuses(NotApplicable, "is not the exchange's word")


@pytest.mark.parametrize("kind", [kind for kind in SAYS_HOW if kind is not c.RecordSubmitFailed])
def test_only_an_attempt_can_have_never_been_sent(kind: type[c.Command]) -> None:
    given(placed(), started()).when(kind, evidence=Evidence.NEVER_SENT).refuses(NotApplicable, "never_sent is not")
