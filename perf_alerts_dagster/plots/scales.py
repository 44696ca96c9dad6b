"""Where a date and a value are in a drawing, and which of them are written at its axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from perf_alerts_dagster.plots.plot import PERCENT, Kind, Plot, words

# The share of the height that is left free above and below.
_MARGIN = 0.06
_MONTHS_FROM_DAYS = 75
_LOWEST_LOG = 1e-3
# The widths of characters in sizes of their font, at most: narrow, usual and wide ones.
_NARROW, _USUAL, _BROAD = 0.4, 0.66, 1.0
_THIN, _THICK = frozenset(" !'(),-./:;I[]fijlrt|"), frozenset("%@MWmw+=<>\u2212…")


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The size of a drawing, and the space around what is drawn in it.

    `value_ticks` and `date_ticks` are about how many of them are written. The title is drawn only
    where `has_title`: else a page says it.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    value_ticks: int
    date_ticks: int
    has_title: bool

    @property
    def end(self) -> int:
        """The right end of the x axis."""
        return self.width - self.right

    @property
    def foot(self) -> int:
        """The height of the x axis."""
        return self.height - self.bottom


LARGE = Frame(
    width=640,
    height=260,
    left=62,
    right=152,
    top=60,
    bottom=30,
    value_ticks=5,
    date_ticks=6,
    has_title=True,
)
# For three columns of a page, or for a phone.
SMALL = Frame(
    width=340,
    height=176,
    left=62,
    right=94,
    top=18,
    bottom=22,
    value_ticks=4,
    date_ticks=3,
    has_title=False,
)


@dataclass(frozen=True, slots=True)
class Scales:
    """The scales of a plot; `low` and `high` are the ends of its y axis, in logs where it has one.

    Sessions are apart alike, whatever days lie between them.
    """

    plot: Plot
    low: float
    high: float
    frame: Frame = LARGE

    def x(self, place: float) -> float:
        """The middle of the date at a position."""
        frame = self.frame
        return frame.left + (frame.end - frame.left) * (place + 0.5) / max(len(self.plot.dates), 1)

    def y(self, value: float) -> float:
        """The height of a value; one beyond the axis is at its end."""
        share = (_scaled(self.plot, value) - self.low) / (self.high - self.low)
        return self.frame.foot - (self.frame.foot - self.frame.top) * min(max(share, 0.0), 1.0)

    def values(self) -> list[float]:
        """The values that are written at the y axis, rising."""
        if self.plot.logarithmic:
            decades = range(math.ceil(self.low), math.floor(self.high) + 1)
            each = max(math.ceil(len(decades) / (self.frame.value_ticks + 1)), 1)
            return [10.0**decade for decade in decades if decade % each == 0]
        step = _nice((self.high - self.low) / self.frame.value_ticks)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [float(f"{place * step:.12g}") for place in range(first, last + 1)]

    def dates(self) -> list[tuple[int, str]]:
        """The positions of dates that are written at the x axis, and how they are."""
        days = self.plot.dates
        if not days:
            return []
        if (days[-1] - days[0]).days < _MONTHS_FROM_DAYS:
            each = max(math.ceil(len(days) / self.frame.date_ticks), 1)
            places = range((len(days) - 1) % each, len(days), each)
            texts = [f"{days[place].day} {month_of(days[place])}" for place in places]
            return _with_years(days, list(zip(places, texts, strict=True)))
        begins = month_begins(days)
        most = self.frame.date_ticks + 1
        each = next((k for k in (1, 2, 3, 6, 12, 24, 60) if len(begins) / k <= most), 120)
        chosen = [
            place for place in begins if (12 * days[place].year + days[place].month - 1) % each == 0
        ]
        return _with_years(days, [(place, month_of(days[place])) for place in chosen])


def digits(number: float) -> str:
    """A coordinate, to a tenth of a unit."""
    return f"{round(number, 1):g}"


def wide(text: str, size: int = 11) -> float:
    """About how wide a text is at most, in the units of the drawing."""
    return size * sum(
        _NARROW if each in _THIN else _BROAD if each in _THICK or each > "\u2fff" else _USUAL
        for each in text
    )


def fitting(text: str, room: float, size: int = 11) -> str:
    """The text, cut to what fits into a room."""
    shown = words(text)
    most = len(shown)
    while most > 1 and wide(words(shown, most), size) > room:
        most -= 1
    return words(shown, most)


def wrapped(text: str, room: float, most: int) -> list[str]:
    """The text in at most so many lines, of which the last may be too wide."""
    lines: list[str] = []
    for word in words(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and (len(lines) == most or wide(longer) <= room):
            lines[-1] = longer
        else:
            lines.append(word)
    return lines or [""]


def month_begins(days: Sequence[date]) -> list[int]:
    """The positions of the first date of each month that begins among dates that rise."""
    return [
        place
        for place in range(1, len(days))
        if (days[place].year, days[place].month) != (days[place - 1].year, days[place - 1].month)
    ]


def month_of(day: date) -> str:
    """The name of a date's month, in English whatever the process's locale."""
    return _MONTHS[day.month - 1]


def _with_years(days: Sequence[date], ticks: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The texts of dates, the first of each year with it."""
    years = [days[place].year for place, _ in ticks]
    return [
        (place, text if year == before else f"{text} {year}")
        for (place, text), year, before in zip(ticks, years, [0, *years], strict=False)
    ]


def scales_of(plot: Plot, frame: Frame = LARGE) -> Scales:
    """The scales that show every value and limit of a plot in a frame."""
    values = [_scaled(plot, each) for each in plot.all_values()] or [0.0]
    low, high = min(values), max(values)
    is_from_zero = plot.unit == PERCENT or any(
        each.kind in (Kind.BARS, Kind.TICKS) for each in plot.series
    )
    if is_from_zero and not plot.logarithmic:
        low, high = min(low, 0.0), max(high, 0.0)
    space = (high - low) * _MARGIN or max(abs(high), 1e-6) * 0.5
    high += space * (high != 0.0 or low == high)
    return Scales(plot, low - space * (low != 0.0), high, frame)


def _scaled(plot: Plot, value: float) -> float:
    return math.log10(max(value, _LOWEST_LOG)) if plot.logarithmic else value


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(k * power for k in (1.0, 2.0, 2.5, 5.0, 10.0) if k * power >= step * 0.999)
