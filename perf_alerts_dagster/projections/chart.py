"""A fan chart as SVG text of a few kilobytes, without a plotting library."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from xml.sax.saxutils import escape

import numpy as np

from perf_alerts_dagster.projections.projection import InForce
from perf_alerts_dagster.records.model import Floats, StrategyRecord

_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """One strategy's band over H sessions, and its live path so far (n <= H).

    All are cumulative simple returns since the day of issue. `lower` and `upper` are the
    two-sided simultaneous 95 % band; `inner_lower` and `inner_upper` the pointwise 68 % one.
    """

    strategy: str
    issued_on: date
    path: Floats
    median: Floats
    lower: Floats
    upper: Floats
    inner_lower: Floats
    inner_upper: Floats


def chart_of(record: StrategyRecord, projection: InForce, as_of: date) -> Chart:
    """The chart of one strategy, as of a session."""
    fan = projection.fan
    lower, upper = fan.both(_LEVEL)
    since = projection.returns_since(record.until(as_of))
    path = np.log1p(np.maximum(since, -1.0 + 1e-12)).cumsum()
    return Chart(
        strategy=record.strategy,
        issued_on=projection.issued_on,
        path=np.expm1(path),
        median=np.expm1(fan.median),
        lower=np.expm1(lower),
        upper=np.expm1(upper),
        inner_lower=np.expm1(fan.pointwise[4]),
        inner_upper=np.expm1(fan.pointwise[6]),
    )


_WIDTH, _HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 26, 24


def svg(chart: Chart) -> str:
    """Draw the band, its median and the live path; text from data is escaped."""
    low = min(float(chart.lower.min()), float(chart.path.min()) if len(chart.path) else 0.0)
    high = max(float(chart.upper.max()), float(chart.path.max()) if len(chart.path) else 0.0)
    scale = _Scale(rows=len(chart.median), low=low, high=high)
    rows = len(chart.path)
    is_out = bool(rows and chart.path[-1] < chart.lower[rows - 1])
    title = escape(f"{chart.strategy}: live path since {chart.issued_on}")
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" role="img" font-family="sans-serif" '
            f'font-size="11"><title>{title}</title>'
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
            f'<text x="{_LEFT}" y="16" font-size="13" fill="#1f2937">{title}</text>',
            scale.area(chart.lower, chart.upper, "#dbeafe"),
            scale.area(chart.inner_lower, chart.inner_upper, "#bfdbfe"),
            *scale.grid(),
            scale.line(chart.median, "#3b82f6", dashed=True),
            scale.line(chart.path, "#b91c1c" if is_out else "#111827", dashed=False),
            "</svg>",
        ]
    )


class _Scale:
    """Maps sessions and returns to coordinates of the drawing."""

    def __init__(self, *, rows: int, low: float, high: float) -> None:
        self._rows = max(rows, 1)
        self._low, self._high = min(low, 0.0), max(high, 0.0, low + 1e-6)

    def area(self, lower: Floats, upper: Floats, colour: str) -> str:
        points = [*self._points(upper), *reversed(self._points(lower))]
        return f'<polygon points="{" ".join(points)}" fill="{colour}"/>'

    def line(self, values: Floats, colour: str, *, dashed: bool) -> str:
        if not len(values):
            return ""
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        return (
            f'<polyline points="{" ".join(self._points(values))}" fill="none" '
            f'stroke="{colour}" stroke-width="1.6"{dash}/>'
        )

    def grid(self) -> Sequence[str]:
        marks = []
        for value in (self._low, 0.0, self._high):
            y = self._y(value)
            marks.append(
                f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                f'stroke="#9ca3af" stroke-width="0.5"/>'
                f'<text x="{_LEFT - 4}" y="{y + 4:.1f}" text-anchor="end" fill="#374151">'
                f"{value:+.0%}</text>"
            )
        marks.append(
            f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end" fill="#374151">'
            f"{self._rows} sessions</text>"
        )
        return marks

    def _points(self, values: Floats) -> list[str]:
        return [
            f"{self._x(place):.1f},{self._y(value):.1f}"
            for place, value in enumerate(values.tolist(), start=1)
        ]

    def _x(self, place: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * place / self._rows

    def _y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share
