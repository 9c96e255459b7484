"""The venue of the how-to page is one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from exchange_adapter.loading import load_venue
from orders.domain.values import Capabilities
from tests.support.adapter_floor import Floor, on_floor
from tests.support.virtual_time import pass_time

PAGE = Path(__file__).parents[3] / "docs/how-to/plug-in-your-exchange.md"


def test_the_class_on_the_page_plugs_in_and_places_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my_broker.py").write_text(code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    venue = load_venue("my_broker:Venue")

    async def test(floor: Floor) -> None:
        small, large = floor.client.place()[0], floor.client.place(quantity=2_000_000)[0]
        floor.venue.submit = venue.submit  # type: ignore[method-assign]
        floor.start()
        await pass_time(1)
        assert floor.history(small)[-1] == "OrderAccepted"
        assert floor.history(large)[-1] == "OrderRejected"

    on_floor(test)
    assert venue.capabilities == Capabilities(queries=True, late_arrival_s=5.0)
