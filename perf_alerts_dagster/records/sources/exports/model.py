"""What a reader of exports hands over: the sheet with its shape, and the lines made of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.sources.exports.sheets import Sheet

Shape = Literal["wide", "returns", "equity", "trades"]
Values = Literal["returns", "percent", "log", "cumulative", "pnl", "equity"]
# A row of the `daily` or `trades` table, by column.
Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A sheet, its shape, and what the tool's file says beside it.

    `capital` is that before the first row; `first` and `last` are the days that trades cover.
    """

    shape: Shape
    sheet: Sheet
    values: Values | None = None
    name: str | None = None
    capital: float | None = None
    currency: str | None = None
    first: date | None = None
    last: date | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user says of an export; None where the export itself is to say it."""

    live_from: date | None = None
    name: str | None = None
    capital: float | None = None
    currency: str | None = None
    group: str | None = None
    values: Values | None = None
    date_column: str | None = None
    value_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Rows of the `daily` and `trades` tables, and what was assumed to make them."""

    daily: list[Row]
    trades: list[Row]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One strategy's n days with n returns or, in money, n + 1 levels of capital.

    `levels` are the capital before the first day and after each; None where amounts are unknown.
    """

    strategy: str
    days: Sequence[date]
    returns: Floats
    levels: Floats | None = None
    currency: str | None = None

    def daily(self, options: Options) -> Iterator[Row]:
        """The rows of the `daily` table."""
        for row, day in enumerate(self.days):
            if self.levels is None:
                values = {"return": repr(float(self.returns[row]))}
            else:
                before, after = self.levels[row : row + 2].tolist()
                # Beyond the 14th digit of the capital the difference is rounding.
                pnl = round(after - before, 14 - len(str(int(before))))
                values = {"pnl": repr(pnl), "capital": f"{before:.15g}"}
            yield {
                "strategy": self.strategy,
                "date": day.isoformat(),
                **values,
                "segment": "live" if day >= (options.live_from or date.min) else "backtest",
                "currency": options.currency or self.currency or "",
                "group": options.group or "",
            }


def grown(capital: float, returns: Floats) -> Floats:
    """The n + 1 levels of a capital that earns n returns."""
    levels: Floats = capital * np.concatenate(([1.0], (1 + returns).cumprod()))
    return levels
