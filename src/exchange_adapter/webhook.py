"""The webhook that notices of alerts are posted to."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import httpx
import structlog

from exchange_adapter.bounds import WEBHOOK_TIMEOUT_S

log = structlog.get_logger(__name__)

_FAILURES = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError)
"""The last three come from the environment's proxies and certificates; a timeout is an OSError."""
_TRY_AGAIN = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class Webhook:
    """For one event loop. The URL is never logged, nor what a library says of it: it may hold a secret."""

    def __init__(self, url: str, *, timeout_s: float = WEBHOOK_TIMEOUT_S) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None
        self._works = True

    async def post(self, body: bytes) -> bool:
        """Whether it need not be posted again: 2xx, or refused for good (4xx but 408 and 429). Never raises."""
        try:
            status = await self._status(body)
        except _FAILURES as error:
            self._fails(type(error).__name__)
            return False
        if 200 <= status < 300:
            if not self._works:
                log.info("alert webhook works again")
            self._works = True
            return True
        if 400 <= status < 500 and status not in _TRY_AGAIN:
            log.error("alert webhook refused a notice: it is not posted again", status=status)
            return True
        self._fails(f"status {status}")
        return False

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _status(self, body: bytes) -> int:
        """The answer's body is not read, however long it is."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout_s)
        headers = {"Content-Type": "application/json"}
        async with (
            asyncio.timeout(self._timeout_s),
            self._client.stream("POST", self._url, content=body, headers=headers) as response,
        ):
            return response.status_code

    def _fails(self, reason: str) -> None:
        """One line an outage."""
        if self._works:
            log.error("alert webhook fails: notices are posted again and again", reason=reason)
        self._works = False
