"""The Python client's stream behind a proxy that cuts it: what its user sees."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from order_client import AsyncOrderClient, CaughtUp, Message, OrderMessage, TradeBusted, TradeCorrected, TradeMessage
from tests.campaigns.feed_listener import Seen, seen_as

MESSAGE_BYTES = 550  # about what one takes, so that cuts by bytes come as often as the other clients'
CUT_WITHIN_S = 0.3  # where no messages come any more
CHUNK_BYTES = 64 * 1024
_KINDS = {TradeMessage: "trade", TradeBusted: "trade_busted", TradeCorrected: "trade_corrected"}


class CuttingProxy:
    """Leads each connection to the next of the ports, and cuts it hard after a random number of bytes, also in a frame,
    until it has cut often enough."""

    def __init__(self, ports: Sequence[int], rng: random.Random, *, cuts: int, mean_bytes: int) -> None:
        self.cuts = 0
        self.done = asyncio.Event()
        self._ports = ports
        self._rng = rng
        self._cuts = cuts
        self._mean_bytes = mean_bytes
        self._opened = 0
        self._hurry = False
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def listen(self) -> int:
        """The port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def hurry(self) -> None:
        """From now on it cuts by time: nothing flows any more."""
        self._hurry = True

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        link.add_done_callback(self._links.discard)
        port = self._ports[self._opened % len(self._ports)]
        self._opened += 1
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        sending = asyncio.create_task(_pass_on(reader, up_writer))
        try:
            if await self._pass_back(up_reader, writer):
                self.cuts += 1
                if self.cuts >= self._cuts:
                    self.done.set()
        finally:
            sending.cancel()
            writer.transport.abort()
            up_writer.transport.abort()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether it is to be cut now; otherwise it has ended by itself."""
        left = self._rng.randrange(2 * self._mean_bytes)
        while True:
            cuts = self.cuts < self._cuts
            try:
                async with asyncio.timeout(self._rng.uniform(0.05, CUT_WITHIN_S)):
                    data = await reader.read(min(CHUNK_BYTES, left) if cuts else CHUNK_BYTES)
            except TimeoutError:
                if cuts and self._hurry:
                    return True
                continue
            if not data:
                return cuts and left == 0
            writer.write(data)
            await writer.drain()
            left -= len(data)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)


class StreamClient:
    """As `tests.campaigns.feed_listener.Listener`, by `AsyncOrderClient.stream`."""

    def __init__(self, query: str, ports: Sequence[int], rng: random.Random, *, cuts: int, mean: int) -> None:
        self.query = query
        self.seen: list[Seen] = []
        self.backwards: list[str] = []
        self.ends: Counter[str] = Counter()
        given = dict(pair.split("=") for pair in query.split("&"))
        self._symbol = given["symbol"]
        self._channels = given.get("channels", "orders").split(",")
        self._proxy = CuttingProxy(ports, rng, cuts=cuts, mean_bytes=max(1, mean) * MESSAGE_BYTES)

    @property
    def cuts(self) -> int:
        return self._proxy.cuts

    async def run(self, flowed: asyncio.Event, head: asyncio.Future[int]) -> None:
        port = await self._proxy.listen()
        try:
            async with AsyncOrderClient(f"http://127.0.0.1:{port}") as client:
                hurrying = asyncio.create_task(self._hurry_after(flowed))
                position = await self._listen_until_cut_enough(client)
                await hurrying
                await self._listen_to(client, position, await head)
        finally:
            await self._proxy.close()

    async def _hurry_after(self, flowed: asyncio.Event) -> None:
        await flowed.wait()
        self._proxy.hurry()

    async def _listen_until_cut_enough(self, client: AsyncOrderClient) -> int:
        """The position to go on from."""
        stream = client.stream(after=0, symbol=self._symbol, channels=self._channels)

        async def listen() -> None:
            async for message in stream:
                self.seen.append(_seen(message))

        listening = asyncio.create_task(listen())
        cut = asyncio.create_task(self._proxy.done.wait())
        await asyncio.wait((listening, cut), return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, cut):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        await stream.aclose()
        return stream.position

    async def _listen_to(self, client: AsyncOrderClient, position: int, head: int) -> None:
        async with client.stream(
            after=position, symbol=self._symbol, channels=self._channels, caught_up=True
        ) as stream:
            async for message in stream:
                if not isinstance(message, CaughtUp):
                    self.seen.append(_seen(message))
                elif message.position >= head:
                    return


def _seen(message: Message) -> Seen:
    if isinstance(message, OrderMessage):
        return seen_as(message.position, message.event, message.status)
    return seen_as(message.position, _KINDS[type(message)], "")
