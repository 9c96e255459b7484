"""What the log says of a broker that cannot be worked with."""

from __future__ import annotations

import logging
import time

from orders.broker.errors import BrokerError, BrokerRefuses

log = logging.getLogger(__name__)


class Outage:
    """Logs the beginning and the end of an outage, once each; and once more where the broker begins to refuse."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: float | None = None
        self._refuses: bool | None = None

    def begin(self, error: BrokerError) -> None:
        self._since = self._since or time.monotonic()
        if isinstance(error, BrokerRefuses) is not self._refuses:
            self._refuses = isinstance(error, BrokerRefuses)
            verb = "cannot be used" if self._refuses else "is away"
            log.warning("RabbitMQ %s: %s; %s tries until it is back", verb, error, self._name)

    def end(self) -> None:
        if self._since is not None:
            log.info("RabbitMQ is back after %.1f s: %s goes on", time.monotonic() - self._since, self._name)
        self._since = self._refuses = None
