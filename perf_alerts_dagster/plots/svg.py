"""A plot as SVG: classes and the page's own colour for pages, colours of its own for the rest."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from xml.sax.saxutils import escape

from perf_alerts_dagster.core.wording import day_words, minus
from perf_alerts_dagster.plots.cells import calendar
from perf_alerts_dagster.plots.plot import (
    PERCENT,
    Kind,
    Limit,
    Marker,
    Plot,
    Role,
    Series,
    Values,
    words,
)
from perf_alerts_dagster.plots.scales import (
    LARGE,
    Frame,
    Scales,
    digits,
    fitting,
    scales_of,
    wide,
    wrapped,
)

# The classes, with the colour of each in a drawing that stands alone.
COLOURS = {
    "plot-text": "#374151",
    "plot-grid": "#9ca3af",
    "plot-range": "#2563eb",
    "plot-expected": "#2563eb",
    "plot-measured": "#111827",
    "plot-limit": "#b45309",
    "plot-bad": "#b91c1c",
    "plot-good": "#047857",
}
_FONT = 'font-family="DejaVu Sans, sans-serif"'
_EDGE, _LINE = 10, 13
# Half the width of a date.
_DATE = 26
# Lines of the label at the right, under its value.
_MOST = 2
# No line is drawn further than this from where its points are.
_NEAR = 0.3
_BOLD = ' font-size="13" font-weight="bold"'
# How much wider that is.
_BOLDER = 1.1
_DASHES = 'stroke-dasharray="5 3"'


_Point = tuple[float, float]
# A line of a label at the right: its class and its text.
_Label = tuple[str, str]


def svg(plot: Plot, *, standalone: bool = False, frame: Frame = LARGE) -> str:
    """Draw a plot; text from data is escaped, and there is neither script nor style attribute.

    Args:
        plot: What to draw.
        standalone: With a white ground and colours as presentation attributes, for mails and
            downloads; else with the classes of `COLOURS` and `currentColor`, for a page.
        frame: The size of the drawing.
    """
    drawing = _Drawing(plot, standalone, frame)
    width, height = frame.width, frame.height
    ground = f'<rect width="{width}" height="{height}" fill="#ffffff"/>' if standalone else ""
    font = _FONT if standalone else 'class="plot"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" {font} font-size="11">'
        f"<title>{_text(plot.title)}</title><desc>{_text(plot.text)}</desc>{ground}"
        f"{''.join(drawing.parts())}</svg>"
    )


def _text(text: str, most: int = 1000) -> str:
    return escape(minus(words(text, most)))


def _at(x: float, y: float, text: str, anchor: str = "start", size: str = "") -> str:
    anchored = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{digits(x)}" y="{digits(y)}"{anchored}{size}>{_text(text)}</text>'


def _across(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{digits(x1)}" y1="{digits(y1)}" x2="{digits(x2)}" y2="{digits(y2)}"/>'


class _Drawing:
    """The parts of one drawing."""

    def __init__(self, plot: Plot, standalone: bool, frame: Frame) -> None:
        self._plot, self._standalone, self._frame = plot, standalone, frame
        self._scales: Scales = scales_of(plot, frame)
        since = plot.since
        self._first_bad = next(
            (place for place, day in enumerate(plot.dates) if since is not None and day >= since),
            len(plot.dates),
        )

    def parts(self) -> Iterator[str]:
        plot = self._plot
        if self._frame.has_title:
            title = fitting(plot.title, self._frame.width - 2 * _EDGE, 14)
            yield self._text(_at(_EDGE, 20, title, size=' font-size="14"'))
            unit = plot.unit if plot.unit != PERCENT and plot.series else ""
            under = ", ".join(filter(None, (plot.note, unit)))
            if under:
                under = fitting(under, self._frame.width - 2 * _EDGE)
                yield self._text(_at(_EDGE, 38, under))
        cells = [each for each in plot.series if each.kind in (Kind.CELLS, Kind.HEAT)]
        if cells:
            yield from self._calendar(cells[0])
            return
        yield from self._axes()
        for each in plot.series:
            yield self._series(each)
        for limit in plot.limits:
            yield self._limit(limit)
        for marker in plot.markers:
            yield self._marker(marker)
        yield from self._since()
        yield from self._labels()

    def _in(self, name: str, paint: str, *parts: str) -> str:
        """Parts in the colour of a class: lines of so wide a `paint`, or areas of such opacity."""
        if not any(parts):
            return ""
        colour = f'color="{COLOURS[name]}"' if self._standalone else f'class="{name}"'
        return f"<g {colour} {paint}>{''.join(parts)}</g>"

    def _stroked(self, name: str, width: float, *parts: str, dashed: bool = False) -> str:
        dash = f" {_DASHES}" if dashed else ""
        return self._in(
            name, f'fill="none" stroke="currentColor" stroke-width="{width}"{dash}', *parts
        )

    def _filled(self, name: str, opacity: float, *parts: str) -> str:
        opaque = "" if opacity == 1 else f' fill-opacity="{opacity}"'
        return self._in(name, f'fill="currentColor"{opaque}', *parts)

    def _text(self, *parts: str) -> str:
        return self._filled("plot-text", 1, *parts)

    def _axes(self) -> Iterator[str]:
        scales, frame, values = self._scales, self._frame, self._scales.values()
        heights = [scales.y(each) for each in values]
        yield self._stroked(
            "plot-grid", 0.5, *(_across(frame.left, y, frame.end, y) for y in heights)
        )
        texts = [
            _at(frame.left - 6, y + 4, self._plot.formatted(each), "end")
            for each, y in zip(values, heights, strict=True)
        ]
        foot = frame.foot
        dates = scales.dates()
        ticks = (_across(scales.x(place), foot, scales.x(place), foot + 4) for place, _ in dates)
        yield self._stroked("plot-grid", 1, _across(frame.left, foot, frame.end, foot), *ticks)
        for place, text in dates:
            # At the right end are the labels of values.
            x = scales.x(place)
            is_last = x > frame.end - _DATE
            texts.append(_at(x, foot + 16, text, "end" if is_last else "middle"))
        yield self._text(*texts)

    def _series(self, series: Series) -> str:
        match series.kind:
            case Kind.AREA:
                opacity = 0.22 if series.role is Role.INNER_RANGE else 0.14
                return self._filled("plot-range", opacity, *self._area(series))
            case Kind.BARS:
                return self._bars(series)
            case Kind.TICKS:
                marks = [
                    f"M{digits(self._scales.x(place))} {self._frame.foot - 16}v16"
                    for place, value in enumerate(series.values)
                    if value is not None
                ]
                return self._stroked("plot-bad", 2.5, f'<path d="{"".join(marks)}"/>')
        if series.role is Role.EXPECTED:
            return self._stroked("plot-expected", 1.2, *self._lines(series.values), dashed=True)
        # The stretch of what broke begins where the line before it ends.
        bad = self._first_bad
        has_before = any(each is not None for each in series.values[:bad])
        before = series.values[: bad + 1] if has_before else ()
        after = (None,) * bad + series.values[bad:]
        return self._stroked("plot-measured", 1.8, *self._lines(before)) + self._stroked(
            "plot-bad", 2.2, *self._lines(after)
        )

    def _area(self, series: Series) -> Iterator[str]:
        edges = [
            (self._scales.x(place), self._scales.y(upper), self._scales.y(lower))
            for place, (upper, lower) in enumerate(zip(series.values, series.lower, strict=True))
            if upper is not None and lower is not None
        ]
        above, below = ([(edge[0], edge[side]) for edge in edges] for side in (1, 2))
        if edges:
            yield f'<path d="{_through([*_straightened(above), *_straightened(below)[::-1]])}z"/>'

    def _bars(self, series: Series) -> str:
        zero, scales = self._scales.y(0.0), self._scales
        width = max(0.7 * (scales.x(1) - scales.x(0)), 1.0)
        width = min(width, 24.0)
        is_measured = series.role is Role.MEASURED and bool(self._plot.limits)
        edge = self._plot.limits[0].value if is_measured else 0.0
        usual: list[str] = []
        bad: list[str] = []
        for place, value in enumerate(series.values):
            if value is None:
                continue
            y = scales.y(value)
            bar = (
                f'<rect x="{digits(scales.x(place) - width / 2)}" y="{digits(min(y, zero))}" '
                f'width="{digits(width)}" height="{digits(max(abs(y - zero), 0.5))}"/>'
            )
            is_bad = place == self._first_bad == len(series.values) - 1
            (bad if is_bad or _is_beyond(value, edge) else usual).append(bar)
        frame = self._frame
        line = self._stroked("plot-grid", 1, _across(frame.left, zero, frame.end, zero))
        return (
            line + self._filled("plot-measured", 0.45, *usual) + self._filled("plot-bad", 1, *bad)
        )

    def _lines(self, values: Values) -> Iterator[str]:
        """The lines through values, parted where there are none; a single one is a dot."""
        points: list[_Point] = []
        for place, value in enumerate((*values, None)):
            if value is not None:
                points.append((self._scales.x(place), self._scales.y(value)))
            elif points:
                yield _line(points)
                points = []

    def _limit(self, limit: Limit) -> str:
        y, frame = self._scales.y(limit.value), self._frame
        across = [_across(frame.left, y, frame.end, y)]
        lines = self._lines(limit.path) if limit.path else across
        return self._stroked("plot-limit", 1.4, *lines, dashed=True)

    def _marker(self, marker: Marker) -> str:
        """A triangle at the foot for an incident, a line for a change; both say what they are."""
        days, frame = self._plot.dates, self._frame
        if not days or not days[0] <= marker.day <= days[-1]:
            return ""
        x = digits(self._scales.x(bisect_left(days, marker.day)))
        said = f"<title>{_text(marker.label)}</title>"
        if marker.is_bad:
            shape = f'<path d="M{x} {frame.foot - 9}l4 8h-8z">{said}</path>'
            return self._filled("plot-bad", 1, shape)
        line = f'<path d="M{x} {frame.top}V{frame.foot}">{said}</path>'
        return self._stroked("plot-expected", 0.8, line, dashed=True)

    def _since(self) -> Iterator[str]:
        """The first date of what broke: a line, and its day above it."""
        since, place = self._plot.since, self._first_bad
        if since is None or place >= len(self._plot.dates):
            return
        x = self._scales.x(place)
        is_right = x > (self._frame.left + self._frame.end) / 2
        anchor, x_text = ("end", x - 3) if is_right else ("start", x + 3)
        text = _day(since, self._plot.dates[-1])
        if place < len(self._plot.dates) - 1:
            text = f"since {text}"
            line = _across(x, self._frame.top, x, self._frame.foot)
            yield self._stroked("plot-bad", 0.8, line, dashed=True)
        yield self._filled("plot-bad", 1, _at(x_text, self._frame.top - 4, text, anchor))

    def _labels(self) -> Iterator[str]:
        """The values at the right: what was measured, each limit, and what was expected."""
        plot, scales, frame = self._plot, self._scales, self._frame
        found: list[tuple[float, list[_Label]]] = []
        # Of series of one name, as of projections one after another, the last is labelled.
        for series in {each.name: each for each in plot.series}.values():
            last = next((each for each in reversed(series.values) if each is not None), None)
            is_labelled = series.role in (Role.EXPECTED, Role.MEASURED)
            if series.kind not in (Kind.LINE, Kind.BARS) or not is_labelled or last is None:
                continue
            if series.role is Role.EXPECTED:
                found.append((scales.y(last), [("plot-expected", series.name)]))
            else:
                bad = "plot-bad" if plot.since is not None else "plot-measured"
                value = last if plot.value is None else plot.value
                labels = [(bad, plot.formatted(value)), (bad, series.name)]
                found.append((scales.y(value), labels))
        for limit in plot.limits:
            text = plot.formatted(limit.value)
            labels = [("plot-limit", text), ("plot-limit", limit.label)]
            found.append((scales.y(limit.value), labels))
        room, high = frame.right - 10, frame.foot - frame.top
        # As far as there is the height for it.
        most = _MOST if sum(_MOST - 1 + len(lines) for _, lines in found) * _LINE <= high else 1
        labelled = [
            (y, [*lines[:-1], *((name, text) for text in wrapped(lines[-1][1], room, most))])
            for y, lines in found
            for name in [lines[-1][0]]
        ]
        for y, lines in _apart(labelled, frame):
            ((name, first), *_) = lines
            is_bold = name != "plot-expected" and wide(first, 13) * _BOLDER <= room
            texts = [
                _at(
                    frame.end + 8,
                    y + 4 + _LINE * place,
                    fitting(text, room),
                    size=_BOLD if is_bold and not place else "",
                )
                for place, (_, text) in enumerate(lines)
            ]
            yield self._filled(name, 1, *texts)

    def _calendar(self, series: Series) -> Iterator[str]:
        found = calendar(self._plot, series, self._frame)
        yield self._text(*(_at(x, y, text, anchor) for x, y, text, anchor in found.texts))
        for look, path in found.cells.items():
            key = f'<path d="{found.keys[look]}"/>'
            if look.opacity:
                wide = f'stroke="currentColor" stroke-width="{digits(found.height * look.size)}"'
                lines = f'<path {wide} d="{path}"/>'
                yield self._in(
                    look.name, f'fill="currentColor" opacity="{look.opacity}"', lines, key
                )
            else:
                yield self._stroked(look.name, 1.5, f'<path d="{path}"/>', key)


def _is_beyond(value: float, edge: float) -> bool:
    return value <= edge if edge < 0.0 else 0.0 < edge <= value


def _line(points: Sequence[_Point]) -> str:
    if len(points) == 1:
        x, y = points[0]
        return f'<circle cx="{digits(x)}" cy="{digits(y)}" r="2.5" fill="currentColor"/>'
    return f'<path d="{_through(_straightened(points))}"/>'


def _through(points: Sequence[_Point]) -> str:
    """A path through points, each beside the one before, which takes the fewest characters."""
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    steps = (
        f"{_short(x - from_x)}{'' if y < from_y else ','}{_short(y - from_y)}"
        for (from_x, from_y), (x, y) in pairwise(tenths)
    )
    x, y = points[0]
    return f"M{digits(x)} {digits(y)}l{' '.join(steps)}"


def _short(tenths: int) -> str:
    text = f"{tenths / 10:g}"
    return text.replace("0.", ".", 1) if -10 < tenths < 10 else text


def _straightened(points: Sequence[_Point]) -> list[_Point]:
    """The points, whose x rise, without those that a straight line passes close by."""
    kept, low, high = list(points[:1]), -math.inf, math.inf
    for before, (x, y) in pairwise(points):
        from_x, from_y = kept[-1]
        if not low <= (y - from_y) / (x - from_x) <= high:
            kept.append(before)
            (from_x, from_y), low, high = before, -math.inf, math.inf
        low = max(low, (y - _NEAR - from_y) / (x - from_x))
        high = min(high, (y + _NEAR - from_y) / (x - from_x))
    return [*kept, *points[-1:]] if len(points) > 1 else kept


def _day(day: date, beside: date) -> str:
    return day_words(day, beside=beside)


def _apart(
    found: list[tuple[float, list[_Label]]], frame: Frame
) -> list[tuple[float, list[_Label]]]:
    """The labels from top to bottom, moved down, and then up, until none is over another."""
    rising = sorted(found, key=lambda each: each[0])
    ends = frame.foot + 10.0
    placed: list[tuple[float, list[_Label]]] = []
    free = frame.top - 4.0
    for y, lines in rising:
        placed.append((max(y, free), lines))
        free = placed[-1][0] + _LINE * len(lines) + 3
    for place in range(len(placed) - 1, -1, -1):
        y, lines = placed[place]
        placed[place] = (min(y, ends - _LINE * (len(lines) - 1)), lines)
        ends = placed[place][0] - _LINE - 3
    return placed
