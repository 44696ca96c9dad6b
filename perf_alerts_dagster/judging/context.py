"""The context that rules judge in, and how a measured value becomes an evaluation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.false_alarms import (
    Budgets,
    Rating,
    evidence_of,
    notified_as,
    rating_of,
)
from perf_alerts_dagster.judging.rule import LimitBook, Rule
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.in_force import ProjectionsInForce
from perf_alerts_dagster.projections.monitors import documented_badness
from perf_alerts_dagster.records.model import Dates, StrategyRecord
from perf_alerts_dagster.records.sessions import missing_share

# A window that misses more of its sessions than this share is not judged.
MAXIMUM_MISSING = 0.10


Rate = Callable[[str, str, float], Rating | None]
"""(strategy, rule, value) to its rating; None while there is no calibration."""

_NOTHING = ProjectionsInForce()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgeContext:
    """The inputs of every rule in addition to the record.

    `sessions` are the record's sessions up to `as_of`, rising. `last_final` is the newest
    session whose rows are final; None if there is none. `lateness` maps a strategy to the closed
    sessions its newest row is behind. `budgets` are the largest `p_year` that counts as strong
    evidence. `in_force` are the projections in force, `calibrations` their healthy years, both
    by strategy; `rate` replaces the calibrations. `projected` are the strategies with a
    projection in force: without one a drawdown needs no evidence.
    """

    as_of: date
    sessions: Dates
    last_final: date | None
    book: LimitBook
    periods_per_year: float
    max_lag_sessions: int
    lateness: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    rate: Rate | None = None
    budgets: Budgets = field(default_factory=Budgets)
    projected: frozenset[str] = frozenset()
    in_force: Mapping[str, ProjectionsInForce] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)

    def projections_of(self, strategy: str) -> ProjectionsInForce:
        """The projections in force for a strategy."""
        return self.in_force.get(strategy, _NOTHING)

    def budgets_of(self, strategy: str, rule: str) -> tuple[float, float]:
        """The largest `p_year` that is strong evidence, at warning and at critical."""
        return self.budgets.for_rule(strategy, rule)

    def rating(
        self, strategy: str, rule: Rule, value: float, *, calibrated_as: str | None = None
    ) -> Rating | None:
        """The rating of a value of a rule; None where the rule has no calibration.

        `calibrated_as` is the name of its statistic where that is not the rule's id.
        """
        name = calibrated_as or rule.id
        if self.rate is not None:
            return self.rate(strategy, name, value)
        calibration = self.calibrations.get(strategy)
        if calibration is None:
            return None
        return rating_of(
            calibration,
            name,
            value,
            periods_per_year=self.periods_per_year,
            budget=self.budgets_of(strategy, rule.id)[0],
            documented=documented_badness(
                self.book.limits_for(strategy), periods_per_year=self.periods_per_year
            ),
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
    observations: int | None = None,
    required: int | None = None,
    session: date | None = None,
    provisional: bool = False,
    parts: Mapping[str, Json] | None = None,
    gated: bool | None = None,
    rating: Rating | None = None,
    projection: str | None = None,
) -> Evaluation:
    """An `ok` (severity None) or a breach, with its evidence.

    `gated` overrides the catalogue, `rating` the calibration: for a rule that knows by itself
    how rare its value is.
    """
    needs_evidence = rule.gated if gated is None else gated
    if needs_evidence and rating is None:
        rating = context.rating(strategy, rule, value)
    budgets = context.budgets_of(strategy, rule.id)
    share = rating.p_year if rating else None
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
        evidence=(
            evidence_of(severity, share, budgets)
            if needs_evidence
            else (None if severity is None else Evidence.UNGATED)
        ),
        p_year=share,
        false_alarm_rate=rating.false_alarm_rate if rating else None,
        power=rating.power if rating else None,
        days_to_half=rating.days_to_half if rating else None,
        session=session,
        projection=projection,
        provisional=provisional,
        message=message,
        parts={**(parts or {}), **_together(rating), **notified_as(severity, share, budgets)},
    )


def _together(rating: Rating | None) -> dict[str, Json]:
    """The false-alarm rate of all calibrated rules together, beside the rule's own."""
    if rating is None or rating.union is None:
        return {}
    return {"union_false_alarm_rate": rating.union}


def insufficient_data(
    strategy: str, rule: Rule, *, observations: int, required: int, why: str = ""
) -> Evaluation:
    """An evaluation of too little data: `observations` of `required`, and why."""
    reason = f": {why}" if why else ""
    return Evaluation(
        strategy=strategy,
        rule=rule.id,
        outcome=Outcome.INSUFFICIENT_DATA,
        kind=rule.kind,
        observations=observations,
        required=required,
        message=f"insufficient data ({observations} of {required}){reason}",
    )


def too_many_gaps(
    context: JudgeContext, record: StrategyRecord, rule: Rule, window: int
) -> Evaluation | None:
    """Insufficient data where more than a tenth of the window's sessions have no row."""
    share = missing_share(record.dates, context.sessions, window)
    if share <= MAXIMUM_MISSING:
        return None
    return insufficient_data(
        record.strategy,
        rule,
        observations=len(record.dates[-window:]),
        required=window,
        why=f"{share:.0%} of the sessions in the window have no row",
    )
