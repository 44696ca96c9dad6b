"""The inputs of rules, and the evaluation of a measured value with its evidence."""

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import counted, day_words
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import (
    Evaluation,
    Evidence,
    Outcome,
    evidence_of,
    headed,
    notified_as,
)
from perf_alerts_dagster.judging.rule import LimitBook, Rule, Step
from perf_alerts_dagster.projections.calibration import Calibration, Pair
from perf_alerts_dagster.projections.power import Worth
from perf_alerts_dagster.projections.projection import ProjectionsInForce
from perf_alerts_dagster.projections.shadow_lives import ShadowCalibration
from perf_alerts_dagster.projections.watchers import STATISTICS, YEAR, documented_badness
from perf_alerts_dagster.records.calendars import StrategyCalendar
from perf_alerts_dagster.records.model import Dates, StrategyRecord
from perf_alerts_dagster.records.sessions import missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """The rarity of a rule's value in the strategy's own healthy years.

    `p_year`: share of healthy simulated years in which the statistic is at least this bad.
    `false_alarm_rate`: share of them in which the rule notifies.
    """

    p_year: float
    false_alarm_rate: float | None = None


def yearly(share: float, rows: int = 1, periods_per_year: float = YEAR) -> float:
    """1 - (1 - share)^(rows a year / rows): a share of windows of `rows` rows as that of years."""
    return 1.0 - float((1.0 - share) ** (periods_per_year / rows))


def rating_of(
    calibration: Calibration,
    rule: str,
    value: float,
    *,
    periods_per_year: float,
    live_rows: int = 1,
    level: float | None = None,
    documented: Mapping[str, Pair] | None = None,
) -> Rating | None:
    """The rating of a value in the year of life after `live_rows`; None without a calibration.

    `level` is the largest `p_year` that notifies; `documented` are the least badnesses that are
    a breach.
    """
    statistic = STATISTICS.get(rule)
    name = rule if statistic is None else statistic.name_after(live_rows, calibration.year)
    if name not in calibration.worst:
        return None
    badness = value if statistic is None else statistic.badness(value, periods_per_year)
    reached = calibration.p_year(name, (documented or {}).get(rule, (-math.inf,))[0])
    return Rating(
        p_year=calibration.p_year(name, badness),
        false_alarm_rate=None if level is None else min(level, reached),
    )


# The rows of the longest window that rules look for gaps in.
_LONGEST = 126
# A window with a larger share of missing sessions is not judged.
MAXIMUM_MISSING = 0.10
_NOTHING = ProjectionsInForce()
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgeContext:
    """The inputs of every rule in addition to the record.

    `calendars` are those of each strategy and group. `last_final` is the newest session whose rows
    are final; None if there is none. `lateness` maps a strategy to the closed
    sessions its newest row is behind. `budgets` are those of false alarms, `desk_size` the number
    of strategies and groups that share the desk's. `in_force` are the projections in force,
    `calibrations` their healthy years, both by strategy; `life_cusum` those of the strategies that
    this rule is still judged for, `against_backtest` see `Outlook`, `shadows` the healthy twins of
    those with a shadow. `projected` are the strategies with a projection in force: without one, a
    drawdown as documented needs no evidence. `records` are those of the session, for what is
    computed of all at once; `made` and `kept` are for `once`.
    """

    as_of: date
    calendars: Mapping[str, StrategyCalendar]
    last_final: date | None
    book: LimitBook
    max_lag_sessions: int
    lateness: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    budgets: Budgets = field(default_factory=Budgets)
    desk_size: int = 1
    projected: frozenset[str] = frozenset()
    in_force: Mapping[str, ProjectionsInForce] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    life_cusum: Mapping[str, Calibration] = field(default_factory=dict)
    against_backtest: Mapping[tuple[str, str], date] = field(default_factory=dict)
    shadows: Mapping[str, ShadowCalibration] = field(default_factory=dict)
    records: Mapping[str, StrategyRecord] = field(default_factory=dict)
    made: dict[Hashable, Any] = field(default_factory=dict)
    kept: dict[Hashable, Any] = field(default_factory=dict)

    def day(self, day: date | np.datetime64, *, weekday: bool = True) -> str:
        """A day in words, beside the as-of date; see `day_words`."""
        plain: date = day.astype(object) if isinstance(day, np.datetime64) else day
        return day_words(plain, beside=self.as_of, weekday=weekday)

    def once(self, key: Hashable, make: Callable[[], Made], *, of_session: bool = True) -> Made:
        """What `make` gives, made once for all that ask by the same key.

        That is once a session, or once for all sessions of an execution where `of_session` is
        False: then the key says what it depends on, and it is small.
        """
        known = self.made if of_session else self.kept
        if key not in known:
            known[key] = make()
        made: Made = known[key]
        return made

    def projections_of(self, strategy: str) -> ProjectionsInForce:
        """The projections in force for a strategy."""
        return self.in_force.get(strategy, _NOTHING)

    def periods_of(self, strategy: str) -> float:
        """A strategy's rows per year."""
        return self.calendars[strategy].periods_per_year

    def allowed_lateness(self, strategy: str) -> int:
        """The sessions that its newest row may be behind; of a sparse book its longest gap."""
        return max(self.max_lag_sessions, self.calendars[strategy].longest_gap)

    def levels_of(self, strategy: str, rule: str) -> Pair:
        """The largest `p_year` at which a rule notifies, at warning and at critical.

        Without a calibration its share before it is scaled, for the rules with a rate of their own.
        """
        calibration = self.calibrations.get(strategy)
        if calibration is None or not calibration.factors:
            return self.budgets.weights_of(strategy).get(rule, (0.0, 0.0))
        levels = self.once(
            ("levels", strategy),
            lambda: self.budgets.levels_of(strategy, calibration, self.desk_size),
        )
        return levels.get(rule, (0.0, 0.0))

    def rating(
        self, strategy: str, rule: Rule, value: float, *, live_rows: int = 1
    ) -> Rating | None:
        """The rating of a value of a rule; None where the rule has no calibration.

        `live_rows` is the age of the strategy, for rules that are rated by the year of life.
        """
        calibration = self.calibrations.get(strategy)
        if calibration is None:
            return None
        documented = self.documented_of(strategy)
        # As documented, a breach needs no evidence.
        is_gated = not self.book.is_documented or rule.id not in documented
        found = rating_of(
            calibration,
            rule.id,
            value,
            periods_per_year=self.periods_of(strategy),
            live_rows=live_rows,
            level=self.levels_of(strategy, rule.id)[0] if is_gated else 1.0,
            documented=documented,
        )
        has_line = rule.id == "drawdown" and self.book.mandate_for(strategy).drawdown is None
        if found is None or not is_gated or not has_line:
            return found
        # It is notified at the strategy's own line, whatever its level.
        line = -math.log1p(-calibration.emergency_depth(live_rows))
        name = STATISTICS[rule.id].name_after(live_rows, calibration.year)
        rate = max(found.false_alarm_rate or 0.0, calibration.p_year(name, line))
        return replace(found, false_alarm_rate=rate)

    def worth(self, strategy: str, rule: Rule, rate: float | None) -> Worth:
        """What a rule is worth at its level; `rate` is its share of false alarms."""
        calibration = self.calibrations.get(strategy)
        if calibration is None or rate is None:
            return Worth()
        # A drawdown is notified at its own line as well, beyond its level.
        level = max(self.levels_of(strategy, rule.id)[0], rate)
        return self.once(
            ("worth", strategy, rule.id, level, rate),
            lambda: calibration.worth(rule.id, level, rate),
        )

    def documented_of(self, strategy: str) -> Mapping[str, Pair]:
        """The least badness of each rule's documented limits, by rule."""
        return self.once(
            ("documented", strategy),
            lambda: documented_badness(
                self.book.limits_for(strategy), periods_per_year=self.periods_of(strategy)
            ),
            of_session=False,
        )

    def finals(self, record: StrategyRecord) -> StrategyRecord:
        """The record's final rows."""
        return record.rows(0, 0) if self.last_final is None else record.until(self.last_final)

    def is_open(self, record: StrategyRecord) -> bool:
        """Whether the record's newest row is provisional."""
        if len(record) == 0:
            return False
        return self.last_final is None or bool(record.dates[-1] > np.datetime64(self.last_final))


def evaluation_of(
    context: JudgeContext,
    strategy: str,
    rule: Rule,
    *,
    severity: Severity | None,
    value: float,
    limit: float | None,
    message: str,
    headline: str = "",
    observations: int | None = None,
    required: int = 1,
    session: date | None = None,
    provisional: bool = False,
    parts: Mapping[str, Json] | None = None,
    gated: bool | None = None,
    rating: Rating | None = None,
    levels: Pair | None = None,
    projection: str | None = None,
) -> Evaluation:
    """An `ok` (severity None) or a breach, with its evidence.

    `headline` is kept of a breach, see `headed`. `gated` overrides the catalogue; `rating` and
    `levels` the calibration and the rule's share of the budget, for a rule with its own evidence.
    """
    needs_evidence = rule.gated if gated is None else gated
    if rating is None and (needs_evidence or rule.calibrated):
        rating = context.rating(strategy, rule, value)
    levels = levels or context.levels_of(strategy, rule.id)
    share = rating.p_year if rating else None
    evidence = evidence_of(severity, share, levels)
    in_force: dict[str, Json] = {}
    if share is not None and needs_evidence:
        in_force = {"levels": {"warning": levels[0], "critical": levels[1]}}
        in_force |= notified_as(severity, share, levels)
    if severity is not None and not needs_evidence:
        evidence = Evidence.UNGATED
    worth = context.worth(strategy, rule, rating.false_alarm_rate if rating else None)
    return Evaluation(
        strategy=strategy,
        rule=rule.id,
        outcome=Outcome.OK if severity is None else Outcome.BREACH,
        kind=rule.kind,
        severity=severity,
        value=value,
        limit=limit,
        observations=observations,
        required=required,
        evidence=evidence,
        p_year=share,
        false_alarm_rate=rating.false_alarm_rate if rating else None,
        power=worth.power_126,
        days_to_half=worth.days_to_half,
        power_126=worth.power_126,
        power_252=worth.power_252,
        delay_sessions=worth.delay_sessions,
        minimal_delay_sessions=worth.minimal_delay_sessions,
        share_of_limit=worth.share_of_limit,
        session=session,
        projection=projection,
        provisional=provisional,
        message=message,
        parts={**(parts or {}), **in_force, **headed(headline if severity else "")},
    )


# What an evaluation of too little data lacks is in its parts under this name, unless it is rows
# that come with time.
LACKING = "lacking"
LIVE_ROWS = "live rows"
BACKTEST_ROWS = "backtest rows"


def insufficient_data(
    strategy: str,
    rule: Rule,
    observations: int = 0,
    required: int = 1,
    why: str = "",
    lacking: str = LIVE_ROWS,
    judged_from: str = "",
) -> Evaluation:
    """An evaluation of too little data: `observations` of `required`, and why.

    `lacking` is what they are observations of, `judged_from` the day of the row that is missing.
    """
    text = f"{observations:,} of {required:,} {'rows' if lacking == LIVE_ROWS else lacking}"
    if judged_from:
        text = f"{text if observations else 'no row yet'}: judged from about {judged_from} on"
    is_said = not why or 1 < required > observations
    return Evaluation(
        strategy=strategy,
        rule=rule.id,
        outcome=Outcome.INSUFFICIENT_DATA,
        kind=rule.kind,
        observations=min(observations, required),
        required=required,
        message="; ".join(filter(None, (text if is_said else "", why))),
        parts={} if lacking == LIVE_ROWS else {LACKING: lacking},
    )


# Rows that say how fast a strategy's rows come.
_RECENT_ROWS = 252
_WEEK = np.timedelta64(7, "D")


def day_of_row(dates: Dates, further: int) -> date:
    """The day, about, of the row that comes `further` rows after the newest of `dates` (n >= 1).

    By the distance of the newest rows; a single one has weekdays after it.
    """
    dates = dates[-_RECENT_ROWS:]
    span, rows = dates[-1] - dates[0], len(dates) - 1
    if span >= _WEEK:
        # Whole weeks, so that no weekend is left out at an end.
        span = span // _WEEK * _WEEK
        rows = int((dates > dates[-1] - span).sum())
    elif not rows:
        span, rows = _WEEK, 5
    newest: date = dates[-1].astype(object)
    return newest + timedelta(days=round(further * int(span.astype(int)) / rows))


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A rule and the rows of a strategy that it judges."""

    rule: Rule
    record: StrategyRecord
    context: JudgeContext

    def step(self, value: float) -> Step:
        """The severity of a value, and the limit beside it, by the strategy's limits."""
        return self.rule.step(value, self.context.book.limits_for(self.record.strategy))

    def judged(
        self,
        value: float,
        step: tuple[Severity | None, float | None],
        message: str,
        **more: Any,  # noqa: ANN401 - of several types
    ) -> Evaluation:
        """See `evaluation_of`, which takes `more`."""
        more |= {"severity": step[0], "value": value, "limit": step[1], "message": message}
        return evaluation_of(self.context, self.record.strategy, self.rule, **more)

    def lacks(
        self, observations: int = 0, required: int = 1, why: str = "", lacking: str = LIVE_ROWS
    ) -> Evaluation:
        """See `insufficient_data`."""
        known, further, day = (observations, required, why, lacking), required - observations, ""
        if lacking == LIVE_ROWS and further > 0 and len(self.record):
            day = self.context.day(day_of_row(self.record.dates, further), weekday=False)
        return insufficient_data(self.record.strategy, self.rule, *known, day)

    def gaps(self, window: int) -> Evaluation | None:
        """Insufficient data where more than a tenth of the window's sessions have no row."""
        record, days = self.record, self.context.calendars[self.record.strategy].days
        key = ("absent", record.strategy, len(record))
        absent = self.context.once(key, lambda: missing(record.dates[-_LONGEST:], days))
        rows = record.dates[-window:]
        gaps = int((absent > rows[0]).sum()) if window <= _LONGEST else len(missing(rows, days))
        sessions = gaps + len(rows)
        if gaps / sessions <= MAXIMUM_MISSING:
            return None
        why = f"{gaps} of the window's {counted(sessions, 'session')} have no row"
        return insufficient_data(record.strategy, self.rule, len(rows), window, why)
