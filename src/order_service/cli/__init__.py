"""The command line `orders`."""

from __future__ import annotations

import signal


def main() -> None:
    """The process `orders`.

    Until a command takes Ctrl-C itself, it just ends the process, so that it leaves no traceback of an import: nothing
    is under way yet that would have to be put away.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from order_service.cli.program import orders

    orders.main(prog_name="orders")
