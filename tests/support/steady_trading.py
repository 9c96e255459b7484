"""Clients that place, read and cancel orders one after the other, and keep what each was answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx

RESTING: dict[str, Any] = {"symbol": "EURUSD", "quantity": 10, "limit_price": "0.00001"}


class SteadyTrading:
    """`answers` counts method and status of each; a request without an answer counts by the name of its error. All show
    `api_key`."""

    def __init__(self, url: str, *, api_key: str, clients: int = 32) -> None:
        self.answers: Counter[tuple[str, object]] = Counter()
        self.placed: set[str] = set()
        self._url = url
        self._clients = clients
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._stopped = False

    @property
    def failed(self) -> list[tuple[str, object]]:
        """What was not answered as each request ought to be."""
        return [one for one in self.answers if one not in (("POST", 201), ("GET", 200), ("DELETE", 200))]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        headers = self._headers
        async with httpx.AsyncClient(base_url=self._url, headers=headers, timeout=20, trust_env=False) as http:
            clients = [asyncio.create_task(self._trade(http)) for _ in range(self._clients)]
            try:
                yield
            finally:
                self._stopped = True
                await asyncio.gather(*clients)

    async def _trade(self, http: httpx.AsyncClient) -> None:
        while not self._stopped:
            answer = await self._ask(http, "POST", "/orders", json={**RESTING, "client_order_id": str(uuid4())})
            if answer is not None and answer.status_code == 201:
                order_id = answer.json()["id"]
                self.placed.add(order_id)
                await self._ask(http, "GET", f"/orders/{order_id}")
                await self._ask(http, "DELETE", f"/orders/{order_id}")

    async def _ask(self, http: httpx.AsyncClient, method: str, path: str, **body: Any) -> httpx.Response | None:
        try:
            answer = await http.request(method, path, **body)
        except httpx.TransportError as error:
            self.answers[method, type(error).__name__] += 1
            return None
        self.answers[method, answer.status_code] += 1
        return answer
