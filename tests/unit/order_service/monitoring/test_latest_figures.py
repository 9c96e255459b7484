"""Figures that a query gives: a database that hangs holds no scrape up, and what comes too late is not shown."""

import asyncio
import logging

import pytest

from order_service.monitoring import latest_figures
from order_service.monitoring.latest_figures import LatestFigures

pytestmark = pytest.mark.anyio


async def test_a_read_that_takes_its_time_to_give_up_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """psycopg asks the server to cancel the query first, and a frozen one does not answer that either."""
    monkeypatch.setattr(latest_figures, "FIGURES_TIMEOUT_S", 0.01)
    given_up, answered = asyncio.Event(), asyncio.Event()
    hangs = False

    async def read() -> int:
        if hangs:
            try:
                await answered.wait()
            finally:
                given_up.set()
                await answered.wait()
                raise ConnectionError("lost")
        return 7

    now = 0.0
    figures = LatestFigures(read, clock=lambda: now)
    await figures.refresh()
    assert figures.value == 7
    hangs, now = True, 100.0
    await asyncio.wait_for(figures.refresh(), 5)
    assert figures.value is None
    await asyncio.wait_for(given_up.wait(), 5)
    answered.set()
    hangs, now = False, 200.0
    await figures.refresh()
    assert figures.value == 7


async def test_what_nobody_foresaw_is_logged_and_shows_no_figures(caplog: pytest.LogCaptureFixture) -> None:
    async def read() -> int:
        raise ZeroDivisionError

    figures = LatestFigures(read)
    with caplog.at_level(logging.ERROR):
        await figures.refresh()
    assert figures.value is None
    assert "could not be read" in caplog.text
    foreseen = LatestFigures(read, ZeroDivisionError)
    caplog.clear()
    await foreseen.refresh()
    assert not caplog.records
