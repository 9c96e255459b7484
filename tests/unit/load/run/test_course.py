"""When a run has settled: no order waits for the exchange any more, as far as that has been told."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from load.run import course as courses
from load.run.course import Course
from load.run.feed import Audience
from load.run.service import Service
from load.run.traffic import Target
from load.run.users import Action
from load.scenarios import scenario_named

TARGET = Target(base_url="http://127.0.0.1:1")


def settled_s(monkeypatch: pytest.MonkeyPatch, accepted: str = "") -> float | None:
    """Of a run whose sockets heard nothing, with this order accepted."""
    monkeypatch.setattr(courses, "SETTLE_SPARE_S", 0.05)
    default = scenario_named("default")
    hasty = msgspec.structs.replace(default.thresholds, settled_s=0.05)
    service = cast(Service, SimpleNamespace(target=TARGET))
    course = Course("hasty", msgspec.structs.replace(default, thresholds=hasty), service)
    if accepted:
        course._ledger.sends(Action(operation="place", method="POST", target="/orders", key="k"))
        course._ledger.answered("k", 201, accepted)
    audience = Audience(TARGET, sockets=1, prefix="k", after=0, on_delay=print)
    return asyncio.run(course._settled(audience))[0]


def test_a_run_without_orders_has_settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settled_s(monkeypatch) == pytest.approx(0.0, abs=0.05)


def test_a_feed_that_stands_still_has_settled_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settled_s(monkeypatch, accepted="order-1") is None
