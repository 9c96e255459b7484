"""Two API processes behind nginx, both set up as they are shipped: under load one is restarted after the other."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from order_client import AsyncOrderClient, OrderMessage
from tests.support.access_service import REQUIRED, token
from tests.support.api_process import ApiProcess
from tests.support.nginx import Nginx, running_nginx
from tests.support.steady_trading import SteadyTrading
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

STREAMS = 6
BETWEEN = 100  # orders from one step to the next: enough that each process serves some
WITHIN_S = 30.0


class Apis:
    """Two API processes over one database."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._start = lambda port: ApiProcess(folder, database_url, port, **REQUIRED, TRUSTED_PROXY="127.0.0.1")
        self.running = [self._start(None) for _ in range(2)]

    @property
    def ports(self) -> list[int]:
        return [api.address[1] for api in self.running]

    def restart(self, number: int) -> None:
        """By SIGTERM, and again on its port when it has ended; returns when it answers."""
        api = self.running[number]
        assert api.stop() == 0
        self.running[number] = self._start(api.address[1])

    def close(self) -> None:
        for api in self.running:
            api.close()


@pytest.fixture
def apis(tmp_path: Path, database_url: str) -> Iterator[Apis]:
    with ExitStack() as stack:
        apis = Apis(tmp_path, database_url)
        stack.callback(apis.close)
        yield apis


@pytest.fixture
def nginx(tmp_path: Path, apis: Apis) -> Iterator[Nginx]:
    with running_nginx(tmp_path, apis.ports) as nginx:
        yield nginx


async def told(client: AsyncOrderClient, seen: Counter[tuple[str, str]]) -> None:
    """Follows the feed from its beginning, for ever."""
    async with client.stream(after=0) as stream:
        async for message in stream:
            if isinstance(message, OrderMessage):
                seen[str(message.order_id), message.event] += 1


async def test_a_rolling_restart_fails_no_request_and_every_stream_tells_each_event_once(
    apis: Apis, nginx: Nginx
) -> None:
    api_key = token("alice", "read trade", ends_in_s=600)
    load = SteadyTrading(nginx.url, api_key=api_key)

    async def some_more() -> None:
        goal = len(load.placed) + BETWEEN

        async def reached() -> bool:
            return len(load.placed) >= goal

        await wait_until_async(reached, within_s=WITHIN_S, what="more orders")

    async with AsyncOrderClient(nginx.url, api_key=api_key) as client:
        seen: list[Counter[tuple[str, str]]] = [Counter() for _ in range(STREAMS)]
        streams = [asyncio.create_task(told(client, counter)) for counter in seen]
        async with load.running():
            for number in range(2):
                await some_more()
                await asyncio.to_thread(apis.restart, number)
            await some_more()
        assert load.failed == [], (load.answers, nginx.tail())
        expected = Counter({(order, event): 1 for order in load.placed for event in ("OrderPlaced", "OrderCanceled")})

        async def all_told() -> bool:
            ended = [stream.exception() for stream in streams if stream.done()]
            assert ended == [], [repr(error) for error in ended]
            return all(counter.total() >= expected.total() for counter in seen)

        what = f"{expected.total()} messages in every stream"
        await wait_until_async(all_told, within_s=WITHIN_S, what=what)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
    assert all(counter == expected for counter in seen)
