"""The numbers of a plot, for who does not see it or wants to copy them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from perf_alerts_dagster.core.wording import day_words
from perf_alerts_dagster.plots.plot import NO_ROW, ROW, Kind, Plot, Series, words

# Rows of a table unless a caller asks for others.
ROWS = 24


@dataclass(frozen=True, slots=True)
class Row:
    """One date, its marker if it has one, and the text of each column; "" where there is none."""

    day: str
    cells: tuple[str, ...]


def columns(plot: Plot) -> tuple[str, ...]:
    """The names of the columns: what is drawn, each name once, then the limits."""
    return tuple(dict.fromkeys(words(each.name or plot.unit) for each in _drawn(plot)))


def rows(plot: Plot, most: int = ROWS) -> Sequence[Row]:
    """The numbers of at most so many dates, oldest first.

    The first and the last date, that since which something is broken, and others that are as far
    apart as they can be. Series of one name, such as the bands of projections one after another,
    share a column.
    """
    places = np.linspace(0, len(plot.dates) - 1, min(most, len(plot.dates))).round().astype(int)
    chosen = set(places.tolist())
    if plot.since in plot.dates:
        chosen.add(plot.dates.index(plot.since))
    drawn: dict[str, list[Series]] = {}
    for each in _drawn(plot):
        drawn.setdefault(words(each.name or plot.unit), []).append(each)
    return [
        Row(
            _day(plot.dates[place]),
            tuple(
                next(filter(None, (_text(plot, one, place) for one in column)), "")
                for column in drawn.values()
            ),
        )
        for place in sorted(chosen)
    ]


def _day(day: date) -> str:
    return day_words(day, beside=date.min)


def _drawn(plot: Plot) -> list[Series]:
    """The series, and each limit as one."""
    days = len(plot.dates)
    limits = [
        Series(name=each.label, values=each.path or (each.value,) * days) for each in plot.limits
    ]
    return [*plot.series, *limits]


def _text(plot: Plot, series: Series, place: int) -> str:
    value = series.values[place]
    if value is None:
        return ""
    match series.kind:
        case Kind.TICKS:
            return "yes"
        case Kind.CELLS:
            return {NO_ROW: "no row", ROW: "a row"}.get(value, words(series.name))
        case Kind.AREA:
            low = series.lower[place]
            return "" if low is None else f"{plot.formatted(low)} to {plot.formatted(value)}"
    return plot.formatted(value)
