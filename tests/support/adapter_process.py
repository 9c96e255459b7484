"""The adapter in a process of its own, to be killed: `python -m tests.support.adapter_process URL EXCHANGE ADDRESS`.

Then, as JSON, what differs from the usual settings.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

from uuid_utils.compat import uuid7

from exchange_adapter.adapter import run_adapter
from exchange_adapter.config import AdapterConfig
from exchange_adapter.loading import load_venue
from exchange_adapter.policy import Limits
from orders.domain.instruments import BUILT_IN
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints
from tests.support.child_process import ChildProcess

READY = "ready"
CALL_TIMEOUT_S = 5.0


class AdapterProcess(ChildProcess):
    """`settings` are fields of AdapterConfig, and `call_timeout_s`."""

    def __init__(self, database_url: str, exchange: str, address: str, log: Path, **settings: float | str) -> None:
        arguments = [database_url, exchange, address, json.dumps(settings)]
        super().__init__([sys.executable, "-m", "tests.support.adapter_process", *arguments], log, ready=READY)


def main(database_url: str, exchange: str, address: str, settings: str = "{}") -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    more = {"call_timeout_s": CALL_TIMEOUT_S, **json.loads(settings)}
    call_timeout_s = more.pop("call_timeout_s")
    store = PostgresEventStore(database_url, application_name="test adapter process")
    hints = PostgresHints(database_url)
    config = AdapterConfig(
        database_url=database_url,
        direct_url=database_url,
        venue_name=exchange,
        catalogue=BUILT_IN,
        new_id=uuid7,
        limits=Limits(call_timeout_s=call_timeout_s),
        **more,
    )
    venue = load_venue(exchange, address=address, call_timeout_s=call_timeout_s)
    ready = lambda: print(READY, flush=True)  # noqa: E731
    try:
        return run_adapter(config, store=store, hints=hints, venue=venue, stop=stop, ready=ready)
    finally:
        hints.close()
        store.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
