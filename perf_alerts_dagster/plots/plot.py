"""The content of a plot as plain values, so that it can be stored and drawn later."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.wording import percent, printable

PERCENT = "%"
# The codes of the cells of a calendar strip.
NO_ROW, ROW, FLAGGED = 0.0, 1.0, 2.0
# A picture shows no more steps between its lowest and its highest value.
_STEPS = 1000
_LOWEST_LOG = 1e-3
_LARGEST = 1e300
_LARGE = ((1e9, "bn"), (1e6, "m"), (1e3, "k"))
_MAXIMUM_TITLE, _MAXIMUM_TEXT, _MAXIMUM_NAME = 120, 400, 60

Values = tuple[float | None, ...]


class Kind(StrEnum):
    """How a series is drawn; `cells` are those of a calendar, by the codes above.

    `heat` is a calendar of sizes in standard deviations.
    """

    LINE = "line"
    BARS = "bars"
    TICKS = "ticks"
    AREA = "area"
    CELLS = "cells"
    HEAT = "heat"


class Role(StrEnum):
    """What a series is: what was measured, what was expected of it, or the range of that."""

    MEASURED = "measured"
    EXPECTED = "expected"
    RANGE = "range"
    INNER_RANGE = "inner_range"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One value per date, None where there is none; `lower` is the lower edge of an area."""

    name: str
    values: Values
    kind: Kind = Kind.LINE
    role: Role = Role.MEASURED
    lower: Values = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A line that is labelled: a value, or one value per date in `path`, then `value` is today's.

    Labels begin in lower case and hold no number that is the value's.
    """

    value: float
    label: str
    path: Values = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A day that is marked: an incident where `is_bad`, else a change such as a new projection."""

    day: date
    label: str
    is_bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """What one rule saw of one strategy, as of one date.

    `dates` rise; every series has one value per date. `unit` is `PERCENT` for fractions, else the
    name of the unit of the y axis. `limits` begin with the one that was broken. `since` is the
    first date of what broke. `value` is the measured one, in the unit of the plot. `note` says
    value and limit in words where they are in another unit than the plot. `logarithmic`: values
    above 0 over several orders of magnitude. `markers` outside the dates are not drawn.
    """

    strategy: str
    rule: str
    title: str
    text: str
    unit: str
    dates: tuple[date, ...]
    series: tuple[Series, ...]
    limits: tuple[Limit, ...] = ()
    since: date | None = None
    value: float | None = None
    note: str = ""
    logarithmic: bool = False
    markers: tuple[Marker, ...] = ()

    def formatted(self, value: float) -> str:
        """A value in the unit of the plot, with a real minus: `−15.0 %`, `2.1`, `120k`."""
        size = abs(value)
        if self.unit == PERCENT:
            text = percent(value) if size < 100.0 else f"{100.0 * value:.1e} %"
        elif 1e4 <= size < 1e12:
            power, name = next(each for each in _LARGE if size >= each[0])
            text = f"{value / power:.3g}{name}"
        elif value == int(value) and size < 1e4:
            text = f"{value:,.0f}"
        elif 100.0 <= size < 1e4:
            text = f"{float(f'{value:.3g}'):,.0f}"
        else:
            text = f"{value:.2g}"
        return text.replace("-", "\u2212")

    def to_json(self) -> Json:
        """The plot as JSON, its values rounded to what a picture shows."""
        step = _step([self._scaled(each) for each in self.all_values()])

        def rounded(values: Sequence[float | None]) -> list[Json]:
            return [None if each is None else round(self._scaled(each) / step) for each in values]

        days = [later - day for day, later in zip(self.dates, self.dates[1:], strict=False)]
        return {
            "strategy": self.strategy,
            "rule": self.rule,
            "title": self.title[:_MAXIMUM_TITLE],
            "text": self.text[:_MAXIMUM_TEXT],
            "unit": self.unit[:_MAXIMUM_NAME],
            "first": self.dates[0].isoformat() if self.dates else None,
            "days": [each.days for each in days],
            "step": step,
            "series": [
                {
                    "name": each.name[:_MAXIMUM_NAME],
                    "kind": each.kind.value,
                    "role": each.role.value,
                    "values": rounded(each.values),
                    "lower": rounded(each.lower),
                }
                for each in self.series
            ],
            "limits": [
                {"value": each.value, "label": each.label, "path": rounded(each.path)}
                for each in self.limits
            ],
            "since": self.since.isoformat() if self.since else None,
            "value": self.value,
            "note": self.note[:_MAXIMUM_TITLE],
            "logarithmic": self.logarithmic,
            "markers": [
                [each.day.isoformat(), each.label[:_MAXIMUM_TITLE], each.is_bad]
                for each in self.markers
            ],
        }

    def all_values(self) -> list[float]:
        """Every value that the y axis has to show, without those of a calendar."""
        rows = [row for each in self.series if _has_axis(each) for row in (each.values, each.lower)]
        rows += [(*each.path, each.value) for each in self.limits]
        return [each for row in rows for each in row if each is not None]

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, _LOWEST_LOG)) if self.logarithmic else value


def _has_axis(series: Series) -> bool:
    return series.kind not in (Kind.TICKS, Kind.CELLS)


def _step(values: Sequence[float]) -> float:
    """The step to round to: 1, 2 or 5 times a power of ten."""
    span = max(values, default=0.0) - min(values, default=0.0)
    if span <= 0.0:
        span = max((abs(each) for each in values), default=0.0) or float(_STEPS)
    least = span / _STEPS
    power = 10.0 ** math.floor(math.log10(least))
    return next(float(f"{k * power:.0e}") for k in (1, 2, 5, 10) if k * power >= least * 0.999)


def plot_from_json(content: Any) -> Plot:  # noqa: ANN401 - as it was read
    """The plot of what `Plot.to_json` gave.

    Raises:
        ValueError: it is no such content; the text names the field.
    """
    try:
        return _read(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a stored plot is damaged: {error!r}") from error


def _read(content: Any) -> Plot:  # noqa: ANN401 - as it was read
    step, logarithmic = float(content["step"]), bool(content["logarithmic"])

    def values(found: Sequence[int | None]) -> Values:
        # The step is a decimal fraction: 3 * 0.1 is to be 0.3.
        numbers = [None if each is None else float(f"{each * step:.12g}") for each in found]
        return tuple(10.0**each if logarithmic and each is not None else each for each in numbers)

    dates = [] if content["first"] is None else [date.fromisoformat(content["first"])]
    for days in content["days"]:
        dates.append(dates[-1] + timedelta(days=days))
    return Plot(
        strategy=content["strategy"],
        rule=content["rule"],
        title=content["title"],
        text=content["text"],
        unit=content["unit"],
        dates=tuple(dates),
        series=tuple(
            Series(
                name=each["name"],
                kind=Kind(each["kind"]),
                role=Role(each["role"]),
                values=values(each["values"]),
                lower=values(each["lower"]),
            )
            for each in content["series"]
        ),
        limits=tuple(
            Limit(value=each["value"], label=each["label"], path=values(each["path"]))
            for each in content["limits"]
        ),
        since=None if content["since"] is None else date.fromisoformat(content["since"]),
        value=content["value"],
        note=content["note"],
        logarithmic=logarithmic,
        # Plots that were stored before there were any have none.
        markers=tuple(
            Marker(day=date.fromisoformat(day), label=label, is_bad=is_bad)
            for day, label, is_bad in content.get("markers", ())
        ),
    )


def values_of(numbers: Iterable[float]) -> Values:
    """Numbers as the values of a series: None for what is not finite, or nearly so."""
    return tuple(float(each) if is_drawn(each) else None for each in numbers)


def is_drawn(number: float) -> bool:
    """Whether a number can be drawn: of larger ones the distances overflow."""
    return abs(number) <= _LARGEST


def words(text: str, most: int = _MAXIMUM_TEXT) -> str:
    """Text from data that may stand in a picture, of at most so many characters."""
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= most else f"{shown[: most - 1].rstrip()}…"
