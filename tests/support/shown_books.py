"""What a client was shown of the books."""

from tests.support.desk_reads import DeskReads
from tests.support.feed_sockets import FakeSocket
from tests.support.waiting import wait_until_async

BOOKS = frozenset({"books"})
ALL = frozenset({"orders", "trades", "books"})


def shown(socket: FakeSocket) -> list[tuple[str, int, int]]:
    """Symbol, position and open quantity of the books that were sent."""
    return [
        (one["symbol"], one["position"], sum(level["quantity"] for level in one["bids"]))
        for one in socket.sent
        if one.get("type") == "book"
    ]


async def shows(socket: FakeSocket, *expected: tuple[str, int, int]) -> None:
    async def all_there() -> bool:
        return shown(socket) == list(expected)

    await wait_until_async(all_there, what=f"{expected}, not {shown(socket)}")


async def times_asked(reads: DeskReads, times: int) -> bool:
    return reads.asked["EURUSD"] >= times
