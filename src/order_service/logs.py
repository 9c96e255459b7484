"""Log lines: for people on a terminal, JSON in production and wherever nobody looks at a terminal."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_PASSWORD = re.compile(r"(?<=://)([^\s:/@]*):[^\s/@]+@|(?<=\bpassword=)[^\s&\"']+")
_QUIET = ("granian", "_granian", "litestar", "psycopg", "httpx", "httpcore")
_SILENT = ("aio_pika", "aiormq")
"""They write tracebacks of every lost connection; `orders.broker` tells of it in a line."""


def configure_logs(production: bool) -> None:
    """One line an event on stderr, for the standard library's loggers and structlog's alike. Bodies and headers of
    requests are never logged, nor the passwords of URLs, whatever error quotes them."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = production or not sys.stderr.isatty()
    rendering: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
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
            foreign_pre_chain=shared, processors=[remove_meta, *rendering, _without_passwords]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _without_passwords(logger: Any, method: str, line: str | bytes | MutableMapping[str, Any]) -> str:
    """Over the finished line, so that nothing in it can be overlooked."""
    return _PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[1] is not None else "***", str(line))
