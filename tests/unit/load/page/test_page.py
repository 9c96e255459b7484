"""The page of a report: whole in itself, and it shows what is wrong."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from load.page.__main__ import main
from load.page.page import page
from tests.support.load_report import SECONDS, load_report

VOID = {"meta", "link", "br"}


class Outline(HTMLParser):
    """Tags must close in turn; `attributes` are all that the page has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_needs_nothing_beside_it() -> None:
    html = page(load_report())
    outline = Outline(html)
    assert not any(tag == "script" or name.startswith("on") for tag, name, _ in outline.attributes)
    fetched = [(tag, value) for tag, name, value in outline.attributes if name in ("src", "href", "srcset")]
    assert fetched == [("link", "data:,")]
    assert "url(" not in html
    assert "@import" not in html


def test_every_plot_is_sound_and_has_a_point_for_every_second_that_can_be_hovered() -> None:
    plots = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page(load_report()), re.DOTALL)]
    assert len(plots) == 7  # throughput, three latencies, orders, feed; and the percentiles
    for plot in plots[:-1]:
        hovers = [rect for rect in plot.iter("rect") if rect.get("class") == "hit"]
        assert len(hovers) == SECONDS
        assert all(rect.findtext("title") for rect in hovers)
        assert [band.get("class") for band in plot.iter("rect")][:3] == ["band", "band bad", "band"]


def test_the_page_has_scenario_machine_thresholds_operations_and_balance() -> None:
    report = load_report()
    text = " ".join(Outline(page(report)).text)
    for expected in (
        report.scenario.about,
        "one of <many>",
        *("POST /orders", "DELETE /orders/{id}", "exchange down", "--outage 3"),
        "It closes.",
        *(check.name for check in report.balance.checks),
        *(verdict.name for verdict in report.verdicts),
        "Passed",
    ):
        assert expected in text


def test_a_run_that_failed_says_so_at_its_head_and_where() -> None:
    html = page(load_report(failed=2, findings=("<b>load-7</b> is two orders",)))
    outline = Outline(html)
    assert ("span", "class", "badge wrong") in outline.attributes
    assert "&lt;b&gt;load-7&lt;/b&gt; is two orders" in html
    assert "It does not close." in " ".join(outline.text)


def test_a_page_is_made_again_from_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = load_report()
    source = tmp_path / "load.json"
    source.write_bytes(msgspec.json.encode(report))
    assert main([str(source)]) == 0
    assert (tmp_path / "load.html").read_text() == page(report)
    assert main([str(tmp_path / "none.json")]) == 1
    assert "error: " in capsys.readouterr().err
