"""What a plot is made of: an evaluation, the rows that it is of, and what judged them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule, Unit
from perf_alerts_dagster.plots.plot import (
    PERCENT,
    Limit,
    Plot,
    Series,
    Values,
    is_drawn,
    values_of,
    words,
)
from perf_alerts_dagster.records.model import Dates, Floats, StrategyRecord

# Positions of rows.
Places = NDArray[np.intp]
# Dates that a plot shows at most, and those of bars.
MAXIMUM_DATES = 252
BARS = 63


# The names of y axes; counted things are plural.
_AXES = {
    Unit.PERCENT: PERCENT,
    Unit.SIGMA: "standard deviations",
    Unit.TIMES: "times",
    Unit.POINTS: "points",
    Unit.NUMBER: "",
    Unit.SESSION: "sessions",
    Unit.TRADE: "trades",
    Unit.STRATEGY: "strategies",
}


def axis_of(unit: Unit) -> str:
    """The name of the y axis of values in a unit."""
    return _AXES[unit]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """An evaluation of one rule, and the rows that it judged, up to the session that it is about.

    `context` is that by which it was judged.
    """

    evaluation: Evaluation
    rule: Rule
    rows: StrategyRecord
    context: JudgeContext

    @property
    def live(self) -> Floats:
        """The live rows' returns."""
        return self.rows.returns[self.rows.live]

    @property
    def live_dates(self) -> Dates:
        """The live rows' dates."""
        return self.rows.dates[self.rows.live]

    def part(self, name: str) -> Any:  # noqa: ANN401 - of several types
        """One of the evaluation's parts; None without it."""
        return self.evaluation.parts.get(name)

    def limit(self, label: str, factor: float = 1.0) -> tuple[Limit, ...]:
        """The evaluation's limit, times a factor; nothing where it has none."""
        limit = self.evaluation.limit
        return () if limit is None else limit_at(limit * factor, label)

    def plot(
        self,
        dates: Dates,
        *series: Series,
        unit: str | None = None,
        limits: Sequence[Limit] = (),
        since: date | np.datetime64 | str | None = None,
        note: str = "",
        value: float | None = None,
        logarithmic: bool = False,
    ) -> Plot:
        """The plot with the rule's texts; `unit` is that of the rule where it is None."""
        headline, strategy = self.part("headline"), self.evaluation.strategy
        title = f"{strategy} {headline}" if headline else f"{strategy}: {self.rule.title}"
        return Plot(
            strategy=strategy,
            rule=self.rule.id,
            title=words(title),
            text=words(self.evaluation.message),
            unit=axis_of(self.rule.unit) if unit is None else unit,
            dates=tuple(dates.astype("datetime64[D]").astype(object).tolist()),
            series=series,
            limits=tuple(limits),
            since=None if since is None else date.fromisoformat(str(since)),
            value=value if value is None or is_drawn(value) else None,
            note=words(note),
            logarithmic=logarithmic,
        )


def limit_at(value: float, label: str, path: Values = ()) -> tuple[Limit, ...]:
    """One limit; nothing where its value cannot be drawn."""
    return (Limit(value=value, label=label, path=path),) if is_drawn(value) else ()


def constant(value: float, rows: int) -> Values:
    """The same value on each date."""
    return values_of([value] * rows)


def thinned(rows: int, *kept: int, most: int = MAXIMUM_DATES) -> Places:
    """The positions of at most so many of the rows, the first, the last and those `kept` too."""
    places = np.linspace(0, rows - 1, min(rows, most - len(kept))).round()
    return np.unique(np.concatenate([places, kept]).astype(np.intp))


def since_beyond(
    dates: Dates, values: Floats, limit: Floats | float, *, below: bool
) -> date | None:
    """The first date of the newest stretch beyond a limit; None where the newest is within."""
    is_beyond = values <= limit if below else values >= limit
    if not len(values) or not is_beyond[-1]:
        return None
    within = np.flatnonzero(~is_beyond)
    since: date = dates[int(within[-1]) + 1 if len(within) else 0].astype(object)
    return since
