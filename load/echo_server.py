"""`python -m load.echo_server PORT`: the echo under granian, set up as `order_service.processes.run_api` sets it up."""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings

from order_service.bounds import API_STOP_S


def main() -> None:
    Granian(
        "load.echo_app:create",
        factory=True,
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=True,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        log_enabled=False,
        workers_kill_timeout=API_STOP_S,
    ).serve()


if __name__ == "__main__":
    main()
