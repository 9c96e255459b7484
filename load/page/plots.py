"""Plots as inline SVG. Colours are the page's own variables, so that a plot follows light, dark and print.

Hovering a second shows its numbers: an SVG `title`, which needs no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from msgspec import Struct

from load.page.scales import Scale, linear, logarithmic
from load.run.latencies import Curve

WIDTH, HEIGHT = 920, 250
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 26, 30
MAX_HOVERS = 600  # seconds that can be hovered; a longer run has none, and its page stays small
CURVE_ENDS = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


class Series(Struct, frozen=True, kw_only=True):
    """`colour` is the number of a page's variable --c1, --c2 and so on. None: nothing was measured then."""

    name: str
    colour: int
    values: Sequence[float | None]


class Band(Struct, frozen=True, kw_only=True):
    """A phase, shaded behind the plot."""

    name: str
    begin_s: float
    end_s: float
    bad: bool = False


class Time(Struct, frozen=True, kw_only=True):
    """The axis that all plots over time share."""

    seconds: int
    bands: Sequence[Band]

    def scale(self) -> Scale:
        return Scale(low=0.0, high=float(max(self.seconds, 1)), start=LEFT, end=WIDTH - RIGHT)


def lines(time: Time, series: Sequence[Series], *, unit: str, log: bool = False) -> str:
    """A line each; the value of a second stands in its middle."""
    values = [value for one in series for value in one.values if value is not None]
    bottom = HEIGHT - BOTTOM
    y = logarithmic(values, bottom, TOP) if log else linear(max(values, default=1.0), bottom, TOP)
    x = time.scale()
    drawn = [
        f'<path class="line" style="stroke:var(--c{one.colour})" d="{_path(one.values, x, y)}"/>' for one in series
    ]
    return _figure(_frame(time, x, y, unit) + "".join(drawn) + _hovers(time, x, series, unit), series)


def columns(time: Time, series: Sequence[Series], *, unit: str, target: Series | None = None) -> str:
    """Stacked, a column a second; `target` is a line of steps over them."""
    sums = [sum(one.values[second] or 0.0 for one in series) for second in range(time.seconds)]
    shown = [*series, *([target] if target else [])]
    most = max([*sums, *(value or 0.0 for value in (target.values if target else ()))], default=1.0)
    x, y = time.scale(), linear(most, HEIGHT - BOTTOM, TOP)
    drawn = "".join(_stack(x, y, series))
    if target is not None:
        drawn += f'<path class="target" d="{_steps(target.values, x, y)}"/>'
    return _figure(_frame(time, x, y, unit) + drawn + _hovers(time, x, shown, unit), shown)


def curves(named: Sequence[tuple[str, int, Curve]]) -> str:
    """Latency by percentile, as HDR plots show it: each step to the right is ten times as rare."""
    named = [one for one in named if one[2]]
    rarest = max((_rarity(percent) for _, _, curve in named for percent, _ in curve), default=100.0)
    x = Scale(low=1.0, high=max(rarest, 100.0), start=LEFT, end=WIDTH - RIGHT, log=True)
    y = logarithmic([ms for _, _, curve in named for _, ms in curve], HEIGHT + 50 - BOTTOM, TOP)
    parts = [_horizontal(y, "ms")]
    for percent in (0.0, *CURVE_ENDS):
        if _rarity(percent) <= x.high * 1.001:
            at = x.at(_rarity(percent))
            parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{y.start:.0f}"/>')
            anchor = "start" if percent == 0 else "middle"
            parts.append(f'<text x="{at:.1f}" y="{y.start + 18:.0f}" text-anchor="{anchor}">{percent:g} %</text>')
    for name, colour, curve in named:
        points = " L".join(f"{x.at(_rarity(percent)):.1f} {y.at(ms):.1f}" for percent, ms in curve)
        marks = "".join(
            f'<circle class="hit" r="6" cx="{x.at(_rarity(percent)):.1f}" cy="{y.at(ms):.1f}">'
            f"<title>{escape(name)}: {percent:.4g} % within {number(ms)} ms</title></circle>"
            for percent, ms in curve
        )
        parts.append(f'<path class="line" style="stroke:var(--c{colour})" d="M{points}"/>{marks}')
    keys = [Series(name=name, colour=colour, values=()) for name, colour, _ in named]
    return _figure("".join(parts), keys, height=HEIGHT + 50)


def number(value: float) -> str:
    """Three digits or so, as people write them."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _rarity(percent: float) -> float:
    """One in so many is slower."""
    return 100.0 / (100.0 - percent)


def _figure(drawn: str, series: Sequence[Series], height: int = HEIGHT) -> str:
    keys = "".join(
        f'<li><i class="{"dash" if not one.colour else "key"}" style="--key:var(--c{one.colour})"></i>'
        f"{escape(one.name)}</li>"
        for one in series
    )
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {height}" role="img">{drawn}</svg>'
        f'<figcaption><ul class="legend">{keys}</ul></figcaption></figure>'
    )


def _frame(time: Time, x: Scale, y: Scale, unit: str) -> str:
    parts = []
    for band in time.bands:
        left, right = x.at(band.begin_s), x.at(band.end_s)
        kind = "band bad" if band.bad else "band"
        parts.append(
            f'<rect class="{kind}" x="{left:.1f}" width="{right - left:.1f}" y="{TOP}" height="{y.start - TOP}"/>'
        )
        if len(time.bands) > 1 and right - left > 7 * len(band.name):
            parts.append(f'<text class="phase" x="{left + 5:.1f}" y="{TOP - 8}">{escape(band.name)}</text>')
    parts.append(_horizontal(y, unit))
    for second in x.ticks(10):
        at = x.at(second)
        parts.append(f'<text x="{at:.1f}" y="{y.start + 18:.0f}" text-anchor="middle">{second:g} s</text>')
    return "".join(parts)


def _horizontal(y: Scale, unit: str) -> str:
    parts = []
    for value in y.ticks(4):
        at = y.at(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{_tick(value)}</text>')
    parts.append(f'<text class="unit" x="{LEFT - 7}" y="{TOP - 10}" text-anchor="end">{escape(unit)}</text>')
    return "".join(parts)


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def _path(values: Sequence[float | None], x: Scale, y: Scale) -> str:
    """Broken where nothing was measured; a lonely point is a short line."""
    parts, pen_down = [], False
    for second, value in enumerate(values):
        if value is None:
            pen_down = False
            continue
        point = f"{x.at(second + 0.5):.1f} {y.at(value):.1f}"
        parts.append(f"L{point}" if pen_down else f"M{point}h.1")
        pen_down = True
    return "".join(parts)


def _steps(values: Sequence[float | None], x: Scale, y: Scale) -> str:
    parts = [f"{x.at(second):.1f} {y.at(value or 0):.1f}H{x.at(second + 1):.1f}" for second, value in enumerate(values)]
    return "M" + "L".join(parts) if parts else ""


def _stack(x: Scale, y: Scale, series: Sequence[Series]) -> list[str]:
    drawn = []
    floors = [0.0] * max((len(one.values) for one in series), default=0)
    for one in series:
        rects = []
        for second, value in enumerate(one.values):
            if value:
                left, right = x.at(second), x.at(second + 1)
                top, bottom = y.at(floors[second] + value), y.at(floors[second])
                gap = 1.0 if right - left > 3 else 0.0
                rects.append(f"M{left:.1f} {bottom:.1f}V{top:.1f}H{right - gap:.1f}V{bottom:.1f}z")
                floors[second] += value
        if rects:
            drawn.append(f'<path style="fill:var(--c{one.colour})" d="{"".join(rects)}"/>')
    return drawn


def _hovers(time: Time, x: Scale, series: Sequence[Series], unit: str) -> str:
    if time.seconds > MAX_HOVERS:
        return ""
    tall, parts = HEIGHT - BOTTOM - TOP, []
    for second in range(time.seconds):
        said = [(one.name, one.values[second]) for one in series if second < len(one.values)]
        words = "\n".join(f"{name}: {number(value)} {unit}" for name, value in said if value is not None)
        left, right = x.at(second), x.at(second + 1)
        parts.append(
            f'<rect class="hit" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{tall}">'
            f"<title>{second} s\n{escape(words)}</title></rect>"
        )
    return "".join(parts)
