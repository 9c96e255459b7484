"""Prints what happens to orders, and goes on where it stopped when it is started again:

    python examples/follow_orders.py http://127.0.0.1:8000 position.txt

It may be killed at any time. What it printed last before that may be printed again, since a line and its position are
not written in one step; nothing is left out.
"""

import sys
from contextlib import suppress
from pathlib import Path

from order_client import OrderClient, OrderMessage


def line(message: OrderMessage) -> str:
    filled = f"{message.filled_quantity}/{message.quantity}"
    return (
        f"{message.position:>8}  {message.time:%H:%M:%S}  {message.status:<8}  {message.side} {filled} {message.symbol}"
    )


def follow(url: str, kept: Path) -> None:
    after = int(kept.read_text()) if kept.exists() else 0
    with OrderClient(url) as client, client.stream(after=after) as messages:
        for message in messages:
            if isinstance(message, OrderMessage):
                print(line(message), flush=True)
            written = kept.with_suffix(".new")
            written.write_text(str(messages.position))
            written.replace(kept)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        follow(sys.argv[1], Path(sys.argv[2]))
