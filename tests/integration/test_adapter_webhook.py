"""Notices over real HTTP, to a receiver that does not behave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from time import monotonic

import pytest
from structlog.testing import capture_logs

from exchange_adapter.webhook import Webhook
from tests.support.webhook_receiver import DRIPS, SECRET, WebhookReceiver

BODY = b'{"id":"order_held/1"}'


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver().serving() as receiver:
        yield receiver


def post(url: str, times: int = 1, *, timeout_s: float = 5.0) -> tuple[list[bool], list[str]]:
    """Whether each post need not be repeated, and the log lines. None of them may show the URL."""

    async def main() -> list[bool]:
        webhook = Webhook(url, timeout_s=timeout_s)
        try:
            return [await webhook.post(BODY) for _ in range(times)]
        finally:
            await webhook.close()

    with capture_logs() as lines:
        done = asyncio.run(main())
    assert SECRET not in str(lines)
    return done, [line["event"] for line in lines]


def test_a_notice_arrives_as_json(receiver: WebhookReceiver) -> None:
    assert post(receiver.url) == ([True], [])
    assert receiver.notices == [{"id": "order_held/1"}]
    assert receiver.content_types == {"application/json"}


def test_an_outage_is_logged_once_and_its_end(receiver: WebhookReceiver) -> None:
    receiver.answers = [500, 503, 429, 408, 301, 204]
    assert post(receiver.url, 6) == (
        [False, False, False, False, False, True],
        ["alert webhook fails: notices are posted again and again", "alert webhook works again"],
    )


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_refusal_is_logged_and_not_posted_again(receiver: WebhookReceiver, status: int) -> None:
    receiver.answers = [status]
    assert post(receiver.url) == ([True], ["alert webhook refused a notice: it is not posted again"])


@pytest.mark.parametrize("answer", [None, DRIPS])
def test_one_that_hangs_or_drips_is_left_in_time(receiver: WebhookReceiver, answer: int | None) -> None:
    receiver.answers = [answer]
    began = monotonic()
    done, _ = post(receiver.url, timeout_s=0.3)
    assert done == [False]
    assert monotonic() - began < 3.0


def test_one_that_is_not_there_is_a_failure() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done, lines = post(f"http://127.0.0.1:{unused.getsockname()[1]}/{SECRET}")
    assert (done, len(lines)) == ([False], 1)


@pytest.mark.parametrize("url", [f"http://\x00/{SECRET}", f"http://[::1/{SECRET}", f"ftp://127.0.0.1/{SECRET}"])
def test_what_is_no_address_is_a_failure(url: str) -> None:
    assert post(url)[0] == [False]
