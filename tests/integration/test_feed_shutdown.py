"""An API process that stops tells the clients of its feed, as a whole process."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from orders.eventstore.postgres import PostgresEventStore
from tests.support.api_process import ApiProcess, api_process
from tests.support.trading_desk import TradingDesk

WAYS = ("", "?after=0", "?symbol=USDCAD&after=0", "?channels=orders,trades,books&after=0", "?batch=true")


@pytest.fixture
def api(tmp_path: Path, database_url: str) -> Iterator[ApiProcess]:
    with api_process(tmp_path, database_url) as api:
        yield api


def opened(stack: ExitStack, api: ApiProcess, query: str = "") -> ClientConnection:
    url = api.url.replace("http", "ws")
    return stack.enter_context(connect(f"{url}/ws{query}", proxy=None, close_timeout=1, max_queue=None))


def goodbye(client: ClientConnection) -> tuple[int | None, str]:
    """The code and reason with which the service closed it."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(timeout=10)
    return client.close_code, client.close_reason or ""


@pytest.mark.parametrize(("number", "whole_group"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_every_client_hears_that_the_service_restarts_and_where_to_resume(
    api: ApiProcess, database_url: str, number: signal.Signals, whole_group: bool
) -> None:
    store = PostgresEventStore(database_url)
    TradingDesk(store).place()
    store.close()
    with ExitStack() as stack:
        clients = [opened(stack, api, WAYS[n % len(WAYS)]) for n in range(50)]
        stuck = opened(stack, api)
        stuck.socket.setblocking(True)
        assert all(client.ping().wait(10) for client in clients)
        began_at = time.monotonic()
        code = api.stop(number, whole_group=whole_group)
        assert time.monotonic() - began_at < 5
        goodbyes = [goodbye(client) for client in clients]
    assert code == 0
    assert {said[0] for said in goodbyes} == {1012}
    assert all(re.fullmatch(r"the service restarts: resume with after=[01]", said[1]) for said in goodbyes), goodbyes
