"""Small track records and judge contexts for the tests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.judging.context import JudgeContext, Rating
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.rule import Rule
from perf_alerts_dagster.records.calendars import Origin, StrategyCalendar
from perf_alerts_dagster.records.model import Dates, Floats, RecordsSource, StrategyRecord, Trades
from perf_alerts_dagster.records.reading import Market, Reading, read
from perf_alerts_dagster.records.sessions import Closing, ListedDays, open_calendar

FIRST = date(2023, 1, 2)


def weekdays(count: int, first: date = FIRST) -> Dates:
    """`count` weekdays from `first` on."""
    return np.busday_offset(np.datetime64(first, "D"), np.arange(count), roll="forward")


def noise(rows: int, *, seed: int = 1, mean: float = 0.0005, sd: float = 0.01) -> Floats:
    """Normal returns that are the same in every run."""
    return np.random.default_rng(seed).normal(mean, sd, rows)


def a_record(
    live: Sequence[float] | Floats,
    *,
    backtest: Sequence[float] | Floats = (),
    strategy: str = "trend",
    **changes: Any,
) -> StrategyRecord:
    """Backtest returns, then live ones, on weekdays."""
    returns = np.concatenate([np.asarray(backtest, float), np.asarray(live, float)])
    values: dict[str, Any] = {
        "strategy": strategy,
        "dates": weekdays(len(returns)),
        "returns": returns,
        "live": np.arange(len(returns)) >= len(backtest),
    }
    return StrategyRecord(**(values | changes))


# Rows are final at 17:00 UTC of their own day.
MARKET = Market(calendar=open_calendar("record", Closing(at=time(17))), own_days=True)


def own_days(days: Dates, **changes: Any) -> StrategyCalendar:
    """A calendar of which the given days are the sessions, and weekdays count for lateness."""
    values: dict[str, Any] = {
        "name": "record",
        "origin": Origin.ASSUMED,
        "periods_per_year": 252.0,
        "days": ListedDays(days=days),
        "counted": MARKET.calendar,
        "closing": MARKET.calendar.closing,
    }
    return StrategyCalendar(**(values | changes))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RatedContext(JudgeContext):
    """A context whose ratings are given, in place of a calibration's."""

    rate: Callable[[str, str, float], Rating | None]

    def rating(
        self, strategy: str, rule: Rule, value: float, *, live_rows: int = 1
    ) -> Rating | None:
        """The rating that `rate` gives for (strategy, rule, value), whatever the age."""
        return self.rate(strategy, rule.id, value)


def context_of(
    record: StrategyRecord,
    *,
    provisional: bool = False,
    sessions: Dates | None = None,
    thresholds: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | None = None,
    **changes: Any,
) -> JudgeContext:
    """Stands on the record's newest row, which is open where `provisional`.

    `sessions` are the days on which rows are expected; those of its rows where None.
    """
    newest = record.dates[-1]
    final = record.dates[-2] if provisional else newest
    values: dict[str, Any] = {
        "as_of": newest.astype(object),
        "calendars": {
            record.strategy: own_days(record.dates if sessions is None else sessions),
            "ALL": own_days(record.dates),
        },
        "last_final": final.astype(object),
        "book": limit_book(thresholds or {}, policy or {}),
        "max_lag_sessions": 2,
    }
    kind = RatedContext if "rate" in changes else JudgeContext
    return kind(**(values | changes))


def trades(pnl: Sequence[float], exits: Dates) -> Trades:
    """Closed trades without costs, one per exit day."""
    return Trades(exits=exits, entries=exits, pnl=np.asarray(pnl, float), cost=np.zeros(len(exits)))


def near(value: float) -> Any:
    """A number up to rounding, to stand in an expected evaluation."""
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def reader(source: RecordsSource) -> Callable[[datetime], Reading]:
    """Reads a source as the REST process does."""
    return lambda now: read(source, MARKET, as_of=None, now=now, timezone=ZoneInfo("UTC"))
