"""A store in memory whose appends wait at a gate, for tests of what gathers behind them."""

from collections.abc import Sequence
from threading import Semaphore

from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Appended, Conflict, EncodedUnit, StoreUnavailable

WITHIN_S = 10.0


class GatedStore(MemoryEventStore):
    """`batches` are the appends that began. `let(n)` lets n of them pass; `opened()` lets all pass from now on.

    `fail_with` is raised by those that pass, instead of appending. Where `frozen`, appends outlast their time allowed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[EncodedUnit]] = []
        self.timeouts_s: list[float] = []
        self.frozen = False
        self.fail_with: Exception | None = None
        self._gate = Semaphore(0)
        self._open = False

    def let(self, appends: int = 1) -> None:
        self._gate.release(appends)

    def opened(self) -> None:
        self._open = True
        self._gate.release(1_000)

    def shut(self) -> None:
        self._open = False
        while self._gate.acquire(blocking=False):
            pass

    def append_encoded(self, units: Sequence[EncodedUnit], *, timeout_s: float = 5.0) -> list[Appended | Conflict]:
        self.batches.append(list(units))
        self.timeouts_s.append(timeout_s)
        if not self._open and not self._gate.acquire(timeout=WITHIN_S if self.frozen else timeout_s):
            raise StoreUnavailable("the gate stayed shut")
        if self.fail_with is not None:
            raise self.fail_with
        return super().append_encoded(units, timeout_s=timeout_s)
