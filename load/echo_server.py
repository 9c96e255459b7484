"""`python -m load.echo_server PORT`: the echo on the server that the product's API runs on, set up alike."""

from __future__ import annotations

import sys

from load.servers import HOST
from order_service.processes import serve_http
from order_service.settings import Address


def main() -> None:
    serve_http("load.echo_app:create", Address(HOST, int(sys.argv[1])))


if __name__ == "__main__":
    main()
