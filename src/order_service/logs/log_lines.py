"""Log lines: for people on a terminal, JSON in production and wherever nobody looks at a terminal."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from order_service.logs.log_secrets import Secrets
from order_service.logs.printable import printable
from order_service.logs.trace_context import add_trace_id

_QUIET = ("granian", "_granian", "litestar", "psycopg", "httpx", "httpcore")
_SILENT = ("aio_pika", "aiormq")
"""They write tracebacks of every lost connection; `orders.broker` tells of it in a line."""


def configure_logs(production: bool, level: str = "info", secrets: Secrets | None = None) -> None:
    """One line an event of `level` (LOG_LEVEL) or above on stderr, for the standard library's loggers and structlog's
    alike. Bodies and headers of requests are never logged, nor a secret, whatever error quotes it: neither one of those
    given nor what looks like one."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        add_trace_id,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = production or not sys.stderr.isatty()
    rendering: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [_made_printable, structlog.dev.ConsoleRenderer(exception_formatter=_write_traceback)]
    )
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[remove_meta, *rendering, _hiding(secrets or Secrets())]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _made_printable(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What clients and exchanges say begins no line and changes nothing on the terminal. Values beside the event are
    escaped as they are rendered, and JSON always is."""
    event["event"] = printable(str(event["event"]))
    return event


def _write_traceback(written: TextIO, exc_info: Any) -> None:
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, exc_info)
    written.write("\n".join(map(printable, plain.getvalue().split("\n"))))


def _hiding(secrets: Secrets) -> structlog.typing.Processor:
    """Over the finished line, so that nothing in it can be overlooked."""

    def hide(logger: Any, method: str, line: str | bytes | MutableMapping[str, Any]) -> str:
        return secrets.hidden_in(str(line))

    return hide
