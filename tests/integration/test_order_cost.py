"""`make bench-cost` in its smallest form: what an order costs each part."""

from pathlib import Path

import msgspec
import pytest

from load import order_cost


def test_what_an_order_costs_each_part_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_cost, "IDLE_S", 0.3)
    code = order_cost.main(["--rounds", "1", "--seconds", "0.3", "--folder", str(tmp_path)])
    shown = capsys.readouterr().out
    (written,) = tmp_path.glob("cost-*.json")
    (one,) = msgspec.json.decode(written.read_bytes(), type=order_cost.Report).rounds
    assert code == 0, shown
    assert set(one.microseconds) == {*order_cost.PARTS, order_cost.DATABASE}
    assert one.microseconds["api"] > 0
    assert one.orders > 0
