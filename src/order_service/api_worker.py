"""What granian's worker process serves."""

from __future__ import annotations

import os
import signal

from litestar import Litestar

from order_service.bootstrap import build_api
from order_service.child_processes import die_with_parent
from order_service.logs import configure_logs
from order_service.settings import load_settings


def create() -> Litestar:
    """The app, in a process that ends with the server that started it."""
    die_with_parent(signal.SIGTERM, parent_pid=os.getppid())
    settings = load_settings()
    configure_logs(settings.production)
    return build_api(settings)
