"""`python -m load.bare_server MODULE:FUNCTION PORT`: an app on the product's own HTTP server, set up alike."""

from __future__ import annotations

import sys

from load.servers import HOST
from order_service.configuration.settings import Address
from order_service.processes.parts import serve_http


def main() -> None:
    _, factory, port = sys.argv
    serve_http(factory, Address(HOST, int(port)))


if __name__ == "__main__":
    main()
