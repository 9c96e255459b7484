"""The fills of one order, each counted once, with busts and corrections (FIX 4.4 ExecType F, G, H).

A fill or correction counts unless another report refers to it (ExecRefID, tag 19). So the sums are the same in whatever
order the reports come, and however often.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from orders.domain.values import EXACT

SMALL_LAYER = 32
"""Entries that are copied faster than looked for in one more layer."""


class Execution(Struct, frozen=True):
    """`reported`: the venue sent it itself, not only a reference to it. `counts`: neither busted nor corrected away."""

    quantity: int
    price: Decimal
    counts: bool
    reported: bool


_ONLY_REFERRED_TO = Execution(0, Decimal(0), counts=False, reported=False)


class Executions(Struct, frozen=True):
    """`quantity` and `notional` (quantity times price, exact) are the sums over the executions that count.

    `layers` hold the executions by id, what is newer in later ones. Each layer is well larger than the next, so that a
    further fill copies a few entries, however many there are.
    """

    layers: tuple[dict[str, Execution], ...] = ()
    quantity: int = 0
    notional: Decimal = Decimal(0)

    @property
    def held(self) -> int:
        """Entries in memory."""
        return sum(map(len, self.layers))

    def get(self, exec_id: str) -> Execution | None:
        for layer in reversed(self.layers):
            execution = layer.get(exec_id)
            if execution is not None:
                return execution
        return None

    def knows(self, exec_id: str) -> bool:
        """Whether a report with this id came already; one that was only referred to is still to come."""
        execution = self.get(exec_id)
        return execution is not None and execution.reported

    def counts(self, exec_id: str) -> bool:
        execution = self.get(exec_id)
        return execution is not None and execution.counts

    def filled(self, exec_id: str, quantity: int, price: Decimal) -> Executions:
        """With a fill. One that was busted or corrected before it came is kept, and does not count."""
        if self.knows(exec_id):
            return self
        counts = self.get(exec_id) is None
        return self._with(exec_id, Execution(quantity, price, counts=counts, reported=True))

    def busted(self, exec_id: str, ref_exec_id: str) -> Executions:
        if self.knows(exec_id):
            return self
        bust = Execution(0, Decimal(0), counts=False, reported=True)
        return self._without(ref_exec_id)._with(exec_id, bust)

    def corrected(self, exec_id: str, ref_exec_id: str, quantity: int, price: Decimal) -> Executions:
        """`exec_id` takes the place of `ref_exec_id`."""
        if self.knows(exec_id):
            return self
        counts = self.get(exec_id) is None
        return self._without(ref_exec_id)._with(exec_id, Execution(quantity, price, counts=counts, reported=True))

    def _without(self, exec_id: str) -> Executions:
        execution = self.get(exec_id)
        if execution is None:
            return self._with(exec_id, _ONLY_REFERRED_TO)
        if not execution.counts:
            return self
        silent = Execution(execution.quantity, execution.price, counts=False, reported=execution.reported)
        return Executions(
            _grown(self.layers, exec_id, silent),
            self.quantity - execution.quantity,
            EXACT.subtract(self.notional, _notional(execution)),
        )

    def _with(self, exec_id: str, execution: Execution) -> Executions:
        layers = _grown(self.layers, exec_id, execution)
        if not execution.counts:
            return Executions(layers, self.quantity, self.notional)
        return Executions(
            layers,
            self.quantity + execution.quantity,
            EXACT.add(self.notional, _notional(execution)),
        )


def _grown(
    layers: tuple[dict[str, Execution], ...], exec_id: str, execution: Execution
) -> tuple[dict[str, Execution], ...]:
    """With one more. A layer that the new ones have come near to is merged with them."""
    newest = {exec_id: execution}
    while layers and len(layers[-1]) <= max(SMALL_LAYER, 2 * len(newest)):
        newest = {**layers[-1], **newest}
        layers = layers[:-1]
    return (*layers, newest)


def _notional(execution: Execution) -> Decimal:
    return EXACT.multiply(execution.price, Decimal(execution.quantity))


NO_EXECUTIONS = Executions()
