"""A plot as SVG: classes and the page's own colour for pages, colours of its own for the rest."""

from collections.abc import Iterator, Sequence
from datetime import date
from xml.sax.saxutils import escape

from perf_alerts_dagster.core.wording import day_words
from perf_alerts_dagster.plots.plot import (
    FLAGGED,
    NO_ROW,
    PERCENT,
    ROW,
    Kind,
    Limit,
    Plot,
    Role,
    Series,
    Values,
    words,
)
from perf_alerts_dagster.plots.scales import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scales,
    month_begins,
    month_of,
    scales_of,
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
}
_FONT = 'font-family="DejaVu Sans, sans-serif"'
_EDGE, _LINE = 10, 13
_END = WIDTH - RIGHT
# Characters that fit in the title, and at the right.
_TITLE, _LABEL = 74, 22
_CELL = 30.0
# Columns of a calendar that the name of a month needs.
_MONTH = 2
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DASHES = 'stroke-dasharray="5 3"'
# A line of a label at the right: its class and its text.
_Label = tuple[str, str]


def svg(plot: Plot, *, standalone: bool = False) -> str:
    """Draw a plot; text from data is escaped, and there is neither script nor style attribute.

    Args:
        plot: What to draw.
        standalone: With a white ground and colours as presentation attributes, for mails and
            downloads; else with the classes of `COLOURS` and `currentColor`, for a page.
    """
    drawing = _Drawing(plot, standalone)
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>' if standalone else ""
    font = _FONT if standalone else 'class="plot"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" {font} font-size="11">'
        f"<title>{_text(plot.title)}</title><desc>{_text(plot.text)}</desc>{ground}"
        f"{''.join(drawing.parts())}</svg>"
    )


def _text(text: str, most: int = 1000) -> str:
    return escape(words(text, most))


def _at(x: float, y: float, text: str, anchor: str = "start", size: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{size}>{_text(text)}</text>'


def _across(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


class _Drawing:
    """The parts of one drawing."""

    def __init__(self, plot: Plot, standalone: bool) -> None:
        self._plot, self._standalone = plot, standalone
        self._scales: Scales = scales_of(plot)
        since = plot.since
        self._first_bad = next(
            (place for place, day in enumerate(plot.dates) if since is not None and day >= since),
            len(plot.dates),
        )

    def parts(self) -> Iterator[str]:
        plot = self._plot
        yield self._text(_at(_EDGE, 20, words(plot.title, _TITLE), size=' font-size="14"'))
        unit = plot.unit if plot.unit != PERCENT and plot.series else ""
        under = ", ".join(filter(None, (plot.note, unit)))
        if under:
            yield self._text(_at(_EDGE, 38, under))
        cells = [each for each in plot.series if each.kind is Kind.CELLS]
        if cells:
            yield from self._calendar(cells[0])
            return
        yield from self._axes()
        for each in plot.series:
            yield self._series(each)
        for limit in plot.limits:
            yield self._limit(limit)
        yield from self._since()
        yield from self._labels()

    def _in(self, name: str, paint: str, *parts: str) -> str:
        """Parts in the colour of a class: lines of so wide a `paint`, or areas of such opacity."""
        colour = f'color="{COLOURS[name]}"' if self._standalone else f'class="{name}"'
        return f"<g {colour} {paint}>{''.join(parts)}</g>"

    def _stroked(self, name: str, width: float, *parts: str, dashed: bool = False) -> str:
        dash = f" {_DASHES}" if dashed else ""
        return self._in(
            name, f'fill="none" stroke="currentColor" stroke-width="{width}"{dash}', *parts
        )

    def _filled(self, name: str, opacity: float, *parts: str) -> str:
        return self._in(name, f'fill="currentColor" fill-opacity="{opacity}"', *parts)

    def _text(self, *parts: str) -> str:
        return self._filled("plot-text", 1, *parts)

    def _axes(self) -> Iterator[str]:
        scales, values = self._scales, self._scales.values()
        heights = [scales.y(each) for each in values]
        yield self._stroked("plot-grid", 0.5, *(_across(LEFT, y, _END, y) for y in heights))
        texts = [
            _at(LEFT - 6, y + 4, self._plot.formatted(each), "end")
            for each, y in zip(values, heights, strict=True)
        ]
        foot = HEIGHT - BOTTOM
        dates = scales.dates()
        ticks = (_across(scales.x(place), foot, scales.x(place), foot + 4) for place, _ in dates)
        yield self._stroked("plot-grid", 1, _across(LEFT, foot, _END, foot), *ticks)
        texts += [_at(scales.x(place), foot + 16, text, "middle") for place, text in dates]
        yield self._text(*texts)

    def _series(self, series: Series) -> str:
        match series.kind:
            case Kind.AREA:
                opacity = 0.22 if series.role is Role.INNER_RANGE else 0.14
                return self._filled("plot-range", opacity, *self._area(series))
            case Kind.BARS:
                return self._bars(series)
            case Kind.TICKS:
                foot = HEIGHT - BOTTOM
                marks = [
                    _across(self._scales.x(place), foot - 16, self._scales.x(place), foot)
                    for place, value in enumerate(series.values)
                    if value is not None
                ]
                return self._stroked("plot-bad", 2.5, *marks)
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
        points = [f"{x:.1f},{y:.1f}" for x, y, _ in edges]
        points += [f"{x:.1f},{y:.1f}" for x, _, y in reversed(edges)]
        yield f'<polygon points="{" ".join(points)}"/>'

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
                f'<rect x="{scales.x(place) - width / 2:.1f}" y="{min(y, zero):.1f}" '
                f'width="{width:.1f}" height="{max(abs(y - zero), 0.5):.1f}"/>'
            )
            is_bad = place == self._first_bad == len(series.values) - 1
            (bad if is_bad or _is_beyond(value, edge) else usual).append(bar)
        line = self._stroked("plot-grid", 1, _across(LEFT, zero, _END, zero))
        return (
            line + self._filled("plot-measured", 0.45, *usual) + self._filled("plot-bad", 1, *bad)
        )

    def _lines(self, values: Values) -> Iterator[str]:
        """The lines through values, parted where there are none; a single one is a dot."""
        points: list[tuple[float, float]] = []
        for place, value in enumerate((*values, None)):
            if value is not None:
                points.append((self._scales.x(place), self._scales.y(value)))
            elif points:
                yield _line(points)
                points = []

    def _limit(self, limit: Limit) -> str:
        y = self._scales.y(limit.value)
        lines = self._lines(limit.path) if limit.path else [_across(LEFT, y, _END, y)]
        return self._stroked("plot-limit", 1.4, *lines, dashed=True)

    def _since(self) -> Iterator[str]:
        """The first date of what broke: a line, and its day above it."""
        since, place = self._plot.since, self._first_bad
        if since is None or place >= len(self._plot.dates):
            return
        x = self._scales.x(place)
        is_right = x > (LEFT + _END) / 2
        text = _day(since, self._plot.dates[-1])
        if place < len(self._plot.dates) - 1:
            text = f"since {text}"
            yield self._stroked("plot-bad", 0.8, _across(x, TOP, x, HEIGHT - BOTTOM), dashed=True)
        yield self._filled(
            "plot-bad",
            1,
            _at(x - 3 if is_right else x + 3, TOP - 4, text, "end" if is_right else "start"),
        )

    def _labels(self) -> Iterator[str]:
        """The values at the right: what was measured, each limit, and what was expected."""
        plot, scales = self._plot, self._scales
        found: list[tuple[float, list[_Label]]] = []
        for series in plot.series:
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
        for y, lines in _apart(found):
            for place, (name, text) in enumerate(lines):
                size = (
                    ' font-size="13" font-weight="bold"'
                    if place == 0 and name != "plot-expected"
                    else ""
                )
                yield self._filled(
                    name, 1, _at(_END + 8, y + 4 + _LINE * place, words(text, _LABEL), size=size)
                )

    def _calendar(self, series: Series) -> Iterator[str]:
        """One cell a session: weeks from left to right, weekdays from top to bottom."""
        days = self._plot.dates
        if not days:
            return
        rows = 7 if any(day.weekday() > 4 for day in days) else 5
        monday = days[0].toordinal() - days[0].weekday()
        weeks = (days[-1].toordinal() - monday) // 7 + 1
        top = TOP + 22
        size = min((WIDTH - LEFT - 20) / weeks, (HEIGHT - top - 36) / rows, _CELL)
        cells: dict[float, list[str]] = {NO_ROW: [], ROW: [], FLAGGED: []}
        for day, value in zip(days, series.values, strict=True):
            if value is not None:
                week = (day.toordinal() - monday) // 7
                x, y = LEFT + size * week, top + size * day.weekday()
                cells[value].append(_cell(x, y, size))
        marks: list[str] = []
        later = weeks + _MONTH
        for place in (*reversed(month_begins(days)), 0):
            week = (days[place].toordinal() - monday) // 7
            if later - week >= _MONTH:
                marks.append(_at(LEFT + size * week, top - 6, month_of(days[place])))
                later = week
        marks += [
            _at(LEFT - 8, top + size * row + size / 2 + 4, _WEEKDAYS[row], "end")
            for row in range(rows)
        ]
        foot = HEIGHT - 20
        key = [(ROW, "a row"), (NO_ROW, "no row"), (FLAGGED, series.name)]
        x = float(LEFT)
        for code, text in key:
            if cells[code]:
                cells[code].append(_cell(x, foot, 12))
                marks.append(_at(x + 17, foot + 10, text))
                x += 40 + 7 * len(text)
        yield self._text(*marks)
        yield self._filled("plot-measured", 0.25, *cells[ROW])
        yield self._stroked("plot-bad", 1.5, *cells[NO_ROW])
        yield self._filled("plot-bad", 1, *cells[FLAGGED])


def _is_beyond(value: float, edge: float) -> bool:
    return value <= edge if edge < 0.0 else 0.0 < edge <= value


def _cell(x: float, y: float, size: float) -> str:
    inner = size - 3
    return f'<rect x="{x + 1.5:.1f}" y="{y + 1.5:.1f}" width="{inner:.1f}" height="{inner:.1f}"/>'


def _line(points: Sequence[tuple[float, float]]) -> str:
    if len(points) == 1:
        x, y = points[0]
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="currentColor"/>'
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _day(day: date, beside: date) -> str:
    return day_words(day, beside=beside)


def _apart(found: list[tuple[float, list[_Label]]]) -> list[tuple[float, list[_Label]]]:
    """The labels from top to bottom, moved down, and then up, until none is over another."""
    rising = sorted(found, key=lambda each: each[0])
    ends = HEIGHT - BOTTOM + 10.0
    placed: list[tuple[float, list[_Label]]] = []
    free = TOP - 4.0
    for y, lines in rising:
        placed.append((max(y, free), lines))
        free = placed[-1][0] + _LINE * len(lines) + 3
    for place in range(len(placed) - 1, -1, -1):
        y, lines = placed[place]
        placed[place] = (min(y, ends - _LINE * (len(lines) - 1)), lines)
        ends = placed[place][0] - _LINE - 3
    return placed
