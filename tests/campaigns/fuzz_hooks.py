"""What Schemathesis is told beside the OpenAPI document: what trades. Loaded by SCHEMATHESIS_HOOKS.

Of texts drawn at random none is a symbol, so no order would ever be placed, and nothing that follows one be reached.
Two bodies of three become orders that can be placed; the third stays as it was drawn.
"""

from __future__ import annotations

from typing import Any

import schemathesis

_TRADED = ("EURUSD", "USDEUR", "CADUSD", "USDCAD")
_KEPT = ("side", "time_in_force", "client_order_id")


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    drawn = len(repr(body))
    if not isinstance(body, dict) or drawn % 3 == 0:
        return body
    if "orders" in body:
        return {"orders": [_order(drawn + number) for number in range(drawn % 5 + 1)]}
    if context.operation is not None and context.operation.method.upper() in ("PUT", "PATCH"):
        return {"quantity": drawn % 50 + 1}
    kept = {name: value for name in _KEPT if (value := body.get(name)) is not None}
    return {**kept, **_order(drawn)}


def _order(number: int) -> dict[str, Any]:
    price = {"limit_price": f"0.{number % 9 + 1}0000"} if number % 2 else {}
    return {"symbol": _TRADED[number % len(_TRADED)], "quantity": number % 1_000 + 1, **price}
