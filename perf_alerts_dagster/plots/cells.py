"""Sessions as cells: a calendar of weeks and weekdays."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from perf_alerts_dagster.plots.plot import NO_ROW, ROW, Kind, Plot, Series
from perf_alerts_dagster.plots.scales import Frame, digits, month_begins, month_of

_CELL = 30.0
# How much higher than wide a cell may be.
_HIGH = 4.0
# Columns that the name of a month needs at least, and its width.
_MONTH, _MONTH_WIDTH = 2, 28.0
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EDGE = 10
_KEY, _LETTER = 12.0, 6.2


@dataclass(frozen=True, slots=True)
class Look:
    """How cells are drawn: their class, opacity (0 for an outline), size, and words of the key."""

    name: str
    opacity: float
    size: float
    key: str


_ROW, _NO_ROW = Look("plot-measured", 0.25, 1.0, "a row"), Look("plot-bad", 0.0, 1.0, "no row")
# By their upper ends in sigma. Losses are larger than gains, for who sees no colours.
_HEAT_ENDS = (-2.0, -0.5, 0.5, 2.0)
_HEAT = (
    Look("plot-bad", 1.0, 1.0, "below \u22122"),
    Look("plot-bad", 0.5, 1.0, "loss"),
    Look("plot-measured", 0.3, 0.35, "flat"),
    Look("plot-good", 0.5, 0.6, "gain"),
    Look("plot-good", 1.0, 0.6, "above 2"),
)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Paths by looks, of the cells and of the key's, and texts with their x, y and anchor.

    Cells are lines through their middle, as wide as `height` times their size; but outlines are
    outlines, as those of the key are.
    """

    cells: dict[Look, str]
    keys: dict[Look, str]
    height: float
    texts: list[tuple[float, float, str, str]]


def calendar(plot: Plot, series: Series, frame: Frame) -> Calendar:
    """One cell a session: weeks from left to right, weekdays from top to bottom, and the key."""
    days = plot.dates
    looks: dict[Look, list[str]] = {each: [] for each in _looks(series)}
    texts: list[tuple[float, float, str, str]] = []
    if not days:
        return Calendar({}, {}, 0.0, texts)
    rows = 7 if any(day.weekday() > 4 for day in days) else 5
    monday = days[0].toordinal() - days[0].weekday()
    weeks = (days[-1].toordinal() - monday) // 7 + 1
    top = frame.top + (22 if frame.has_title else 0)
    most = (frame.height - top - 36) / rows
    width = min((frame.width - frame.left - 20) / weeks, most, _CELL)
    height = min(most, _HIGH * width)
    for day, value in zip(days, series.values, strict=True):
        if value is not None:
            week = (day.toordinal() - monday) // 7
            look = _look(series, value)
            x, y = frame.left + width * week, top + height * day.weekday()
            shape = _cell if not look.opacity else _bar
            looks[look].append(shape(x, y, width, height, look.size))
    least, later = max(_MONTH, round(_MONTH_WIDTH / width)), weeks + _MONTH
    for place in (*reversed(month_begins(days)), 0):
        week = (days[place].toordinal() - monday) // 7
        if later - week >= (_MONTH if later > weeks else least):
            texts.append((frame.left + width * week, top - 6, month_of(days[place]), "start"))
            later = week
    texts += [
        (frame.left - 8, top + height * (row + 0.5) + 4, _WEEKDAYS[row], "end")
        for row in range(rows)
    ]
    x, y = float(frame.left if frame.has_title else _EDGE), frame.height - 20.0
    cells = {look: "".join(each) for look, each in looks.items() if each}
    keys: dict[Look, str] = {}
    for look in cells:
        keys[look] = _cell(x, y, _KEY, _KEY, look.size)
        texts.append((x + _KEY + 3, y + 10, look.key, "start"))
        x += 2.2 * _KEY + _LETTER * len(look.key)
    return Calendar(cells, keys, height - _gap(width), texts)


def _looks(series: Series) -> Sequence[Look]:
    """How the cells of a calendar may look, in the order of the key."""
    return _HEAT if series.kind is Kind.HEAT else (_ROW, _NO_ROW, _flagged(series))


def _look(series: Series, value: float) -> Look:
    if series.kind is Kind.HEAT:
        return _HEAT[bisect_right(_HEAT_ENDS, value)]
    return {ROW: _ROW, NO_ROW: _NO_ROW}.get(value) or _flagged(series)


def _flagged(series: Series) -> Look:
    return Look("plot-bad", 1.0, 1.0, series.name)


def _gap(width: float) -> float:
    """The space between cells."""
    return min(3.0, 0.15 * width)


def _cell(x: float, y: float, width: float, height: float, share: float) -> str:
    """A cell as part of a path: of such a share of its width and height, in its middle."""
    wide, high = (width - _gap(width)) * share, (height - _gap(width)) * share
    x, y = x + (width - wide) / 2.0, y + (height - high) / 2.0
    return f"M{digits(x)} {digits(y)}h{digits(wide)}v{digits(high)}h-{digits(wide)}z"


def _bar(x: float, y: float, width: float, height: float, share: float) -> str:
    """A cell as a line, to be drawn as wide as it is high."""
    wide = (width - _gap(width)) * share
    return f"M{digits(x + (width - wide) / 2.0)} {digits(y + height / 2.0)}h{digits(wide)}"
