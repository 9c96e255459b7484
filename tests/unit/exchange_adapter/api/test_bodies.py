"""The bodies of the operators' actions are read strictly, and every wrong field is named."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from exchange_adapter import refusals
from exchange_adapter.api.bodies import (
    AskedAction,
    ResolveBody,
    ResolveOneBody,
    RetryBody,
    RetryOneBody,
    cursor_after,
    read_action,
)
from exchange_adapter.api.problems import PROBLEMS
from exchange_adapter.operations import Chosen, Resolve, Retry
from orders.request_errors import WrongFields

NEXT = cursor_after(7, AskedAction(Chosen(), Resolve("r", placed=True), dry_run=False))
"""Of a request to resolve all."""
GOOD: dict[str, object] = {"all": True, "reason": "r", "outcome": "placed"}
WRONG: list[tuple[dict[str, object], str]] = [
    ({"all": None}, "order_ids"),
    ({"worker": "w"}, "all"),
    ({"all": False}, "all"),
    ({"all": None, "order_ids": []}, "order_ids"),
    ({"all": None, "order_ids": ["x"] * 1001}, "order_ids"),
    ({"all": None, "order_ids": [7]}, "order_ids"),
    ({"all": None, "order_ids": ["a", "\ud800"]}, "order_ids"),
    ({"all": None, "order_ids": ["a\x1b[2J"]}, "order_ids"),
    ({"all": None, "order_ids": ["x" * 501]}, "order_ids"),
    ({"all": None, "worker": "a\x00b"}, "worker"),
    ({"reason": ""}, "reason"),
    ({"reason": " "}, "reason"),
    ({"reason": "r" * 501}, "reason"),
    ({"reason": None}, "reason"),
    ({"outcome": "perhaps"}, "outcome"),
    ({"outcome": None}, "outcome"),
    ({"dry_run": "no"}, "dry_run"),
    ({"cursor": "x"}, "cursor"),
    ({"cursor": NEXT, "all": None, "worker": "w"}, "cursor"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("change", "field"), WRONG)
def test_a_wrong_field_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(WrongFields) as refused:
        read_action(json.dumps({**GOOD, **change}).encode(), ResolveBody)
    assert [error.field for error in refused.value.errors] == [field]


@pytest.mark.parametrize(
    ("body", "schema", "chosen", "action"),
    [
        ({"all": True, "reason": " r "}, RetryBody, Chosen(), Retry("r")),
        ({"worker": "w", "reason": "r"}, RetryBody, Chosen(worker="w"), Retry("r")),
        ({"order_ids": ["a", "b"], "reason": "r"}, RetryBody, Chosen(order_ids=("a", "b")), Retry("r")),
        (GOOD | {"cursor": NEXT}, ResolveBody, Chosen(after=7), Resolve("r", placed=True)),
        ({"outcome": "not_placed", "reason": "r"}, ResolveOneBody, Chosen(), Resolve("r", placed=False)),
        ({"reason": "r"}, RetryOneBody, Chosen(), Retry("r")),
    ],
)
def test_a_body_says_what_is_to_be_done_of_which_orders(
    body: dict[str, Any], schema: type[msgspec.Struct], chosen: Chosen, action: Any
) -> None:
    asked = read_action(json.dumps(body).encode(), schema)
    assert (asked.chosen, asked.action, asked.dry_run) == (chosen, action, False)


def test_a_cursor_is_for_many_orders_only() -> None:
    with pytest.raises(WrongFields, match="Unknown field `cursor`"):
        read_action(json.dumps({"reason": "r", "cursor": NEXT}).encode(), RetryOneBody)


def test_every_refusal_of_operators_has_its_status() -> None:
    assert set(refusals.OperatorRefusal.__subclasses__()) == set(PROBLEMS)
