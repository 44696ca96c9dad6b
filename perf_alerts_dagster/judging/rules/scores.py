"""The three score rules of the weekly check: stability, out-of-sample validity, overfitting."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder
from perf_alerts_dagster.core.wording import counted, percent
from perf_alerts_dagster.judging.context import Case, JudgeContext, day_of_row
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.rule import Rule, Unit, shown
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.scores import walk_forward
from perf_alerts_dagster.statistics.scores.cscv import Cscv, cscv, deflated_best_trial
from perf_alerts_dagster.statistics.scores.legacy_scores import (
    LegacyScores,
    legacy_scores,
    months_from_trades,
)
from perf_alerts_dagster.statistics.scores.out_of_sample import (
    MissingSharpe,
    ValidationScore,
    missing_sharpe,
    out_of_sample,
)

# Without a rate of healthy years, and without a weight: only shown.
_rule = partial(Rule, family=Family.SCORE, gated=True)
STABILITY = _rule(
    id="walk_forward_stability",
    title="walk-forward stability",
    unit=Unit.POINTS,
    hint="fit the parameters anew on the last years, and see whether its folds still agree.",
    plot="folds",
    ladder=Ladder(breach="below", warning=60.0, critical=50.0),
)
VALIDATION = _rule(
    id="out_of_sample_validation",
    title="out-of-sample validation",
    unit=Unit.PERCENT,
    hint="read the backtest's assumptions again: costs, fills and the data it was chosen on.",
    plot="sharpe_ratios",
    ladder=Ladder(breach="at or below", warning=0.05, critical=0.01),
)
OVERFITTING = _rule(
    id="overfitting",
    title="overfitting",
    unit=Unit.PERCENT,
    hint="count the variants that were tried, and expect the live Sharpe ratio from here on.",
    plot="sharpe_ratios",
    ladder=Ladder(breach="above", warning=0.3, critical=0.5),
)
RULES = (STABILITY, VALIDATION, OVERFITTING)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scored:
    """One strategy's final rows, and their context, for the three rules."""

    record: StrategyRecord
    context: JudgeContext
    periods_per_year: float
    split: walk_forward.Split | walk_forward.Insufficient
    legacy: LegacyScores | None


def judge_scores(record: StrategyRecord, context: JudgeContext) -> list[Evaluation]:
    """Judge a strategy's final rows by the three score rules, in the catalogue's order.

    Where the record has trials, the returns of every variant that was tried, the overfitting
    rule judges the probability of backtest overfitting. A record with a wipe-out has no scores.

    Raises:
        UsageError: the trials are no matrix of finite numbers with at least 2 columns.
    """
    finals = context.finals(record)
    wiped_out = np.flatnonzero(finals.returns <= -1.0)
    if len(wiped_out):
        first = int(wiped_out[0])
        why = f"wiped out on {context.day(finals.dates[first])}, its statistics stop there"
        return [_insufficient(finals, rule, first, len(finals), why) for rule in RULES]
    scored = _Scored(
        record=finals,
        context=context,
        periods_per_year=context.periods_of(record.strategy),
        split=walk_forward.split_record(finals.returns, finals.live),
        legacy=None if finals.trades is None else legacy_scores(months_from_trades(finals.trades)),
    )
    return [
        _judge_stability(scored),
        _judge_validation(scored),
        _judge_missing(scored) if record.trials is None else _judge_trials(scored, record.trials),
    ]


def _judge_stability(scored: _Scored) -> Evaluation:
    record = scored.record
    result = walk_forward.stability(record.returns, record.live, scored.periods_per_year)
    if isinstance(result, walk_forward.Insufficient):
        return _short(scored, STABILITY, result)
    folds = f"{result.score:.1f} of 100 points over {counted(len(result.folds), 'fold')}"
    first = scored.context.day(record.dates[result.folds[0].fold.start], weekday=False)
    return _evaluation(
        scored,
        STABILITY,
        result.score,
        f"{folds}, {percent(result.share_profitable)} of them profitable",
        f"{folds} since {first}",
        stability_parts(record, result, scored.legacy),
        observations=len(result.folds),
        required=walk_forward.MIN_FOLDS,
    )


def _judge_validation(scored: _Scored) -> Evaluation:
    split = scored.split
    if isinstance(split, walk_forward.Insufficient):
        return _short(scored, VALIDATION, split)
    result = out_of_sample(split.reference, split.live, np.random.default_rng(scored.context.seed))
    if result is None:
        return _still(scored.record, VALIDATION, split)
    live, before = (
        math.sqrt(scored.periods_per_year) * each
        for each in (result.live_sharpe, result.in_sample_sharpe)
    )
    return _evaluation(
        scored,
        VALIDATION,
        result.share_below,
        f"{percent(result.share_below)} of resampled backtests have a Sharpe ratio as low as live",
        f"Sharpe ratio {live:.2f} since {_first(scored, split)}, {before:.2f} in its backtest",
        validation_parts(result, scored.periods_per_year, scored.legacy),
        observations=len(split.live),
        required=walk_forward.MIN_LIVE_ROWS,
    )


def _judge_missing(scored: _Scored) -> Evaluation:
    """Overfitting without a trial matrix: the part of the Sharpe ratio missing in live."""
    split, record = scored.split, scored.record
    if isinstance(split, walk_forward.Insufficient):
        return _short(scored, OVERFITTING, split)
    result = missing_sharpe(split.reference, split.live)
    if result is None:
        return _still(record, OVERFITTING, split)
    parts = overfitting_parts(result, None, scored.periods_per_year, scored.legacy)
    if result.missing is None:
        why = "the in-sample Sharpe ratio is not positive, so none of it can be missing"
        rows, required = len(split.reference), walk_forward.MIN_IN_SAMPLE_ROWS
        return _insufficient(record, OVERFITTING, rows, required, why, parts)
    return _evaluation(
        scored,
        OVERFITTING,
        result.missing,
        f"{percent(result.missing)} of the in-sample Sharpe ratio is missing at 95 % confidence",
        f"lacks {percent(result.missing)} of its backtest's Sharpe since {_first(scored, split)}",
        parts,
        observations=len(split.live),
        required=walk_forward.MIN_LIVE_ROWS,
    )


def _judge_trials(scored: _Scored, trials: Floats) -> Evaluation:
    """Overfitting with a trial matrix: PBO is the value, the rest is shown beside it."""
    rows, required = len(trials), walk_forward.MIN_IN_SAMPLE_ROWS
    if rows < required:
        why = f"the trial matrix has {rows} of {required} rows"
        return _insufficient(scored.record, OVERFITTING, rows, required, why)
    result, deflated = cscv(trials), deflated_best_trial(trials)
    missing: MissingSharpe | None = None
    if isinstance(scored.split, walk_forward.Split):
        missing = missing_sharpe(scored.split.reference, scored.split.live)
    return _evaluation(
        scored,
        OVERFITTING,
        result.pbo,
        f"probability of backtest overfitting {percent(result.pbo)} over "
        f"{counted(result.trials, 'trial')}",
        f"{percent(result.pbo)} probability of overfitting in {counted(result.trials, 'trial')}",
        overfitting_parts(missing, (result, deflated), scored.periods_per_year, scored.legacy),
        observations=result.rows,
        required=required,
    )


def _evaluation(
    scored: _Scored,
    rule: Rule,
    value: float,
    text: str,
    headline: str,
    parts: Mapping[str, Json],
    **rows: int,
) -> Evaluation:
    """Compare a value with its limits."""
    severity, limit = rule.step(value)
    more: dict[str, Any] = {"headline": headline, "parts": parts, **rows}
    text = f"{text}; limit {shown(limit, rule.unit)}"
    return Case(rule, scored.record, scored.context).judged(value, (severity, limit), text, **more)


def _first(scored: _Scored, split: walk_forward.Split) -> str:
    """The day of the first of the live rows that a split compares."""
    return scored.context.day(scored.record.dates[split.live_start], weekday=False)


def _insufficient(
    record: StrategyRecord,
    rule: Rule,
    observations: int,
    required: int,
    why: str,
    parts: Mapping[str, Json] | None = None,
) -> Evaluation:
    return Evaluation(
        strategy=record.strategy,
        rule=rule.id,
        outcome=Outcome.INSUFFICIENT_DATA,
        limit=rule.ladder.warning,
        observations=observations,
        required=required,
        message=why,
        parts=parts or {},
    )


def _short(scored: _Scored, rule: Rule, of: walk_forward.Insufficient) -> Evaluation:
    record, why = scored.record, of.reason
    if of.further is not None and len(record):
        day = day_of_row(record.dates, of.further)
        why += f": judged from about {scored.context.day(day, weekday=False)} on"
    return _insufficient(record, rule, of.observations, of.required, why)


def _still(record: StrategyRecord, rule: Rule, split: walk_forward.Split) -> Evaluation:
    rows = f"{len(split.reference)} backtest or the {len(split.live)} live rows"
    why = f"the {rows} do not vary enough for a Sharpe ratio"
    return _insufficient(record, rule, 0, walk_forward.MIN_LIVE_ROWS, why)


# The earlier system's limits on the 0 to 100 form of the validation score: shown, never judged.
_DOCUMENTED_VALIDATION = Ladder(breach="below", warning=70.0, critical=50.0)


def stability_parts(
    record: StrategyRecord, score: walk_forward.StabilityScore, legacy: LegacyScores | None
) -> dict[str, Json]:
    """The parts of a stability score, with one entry per fold."""
    return {
        "psr": score.psr,
        "share_profitable": score.share_profitable,
        "walk_forward_efficiency": _finite(score.efficiency),
        "sharpe_ratio": score.sharpe,
        "t_statistic": score.t_statistic,
        "total_return": score.total_return,
        "rows": score.rows,
        "folds": [
            {
                "first": str(record.dates[result.fold.start]),
                "last": str(record.dates[result.fold.stop - 1]),
                "in_sample_annual_return": result.in_sample_annual,
                "out_of_sample_annual_return": result.out_of_sample_annual,
                "out_of_sample_return": result.out_of_sample_total,
            }
            for result in score.folds
        ],
        "legacy_stability": _finite(legacy.stability if legacy else None),
    }


def validation_parts(
    validation: ValidationScore, periods_per_year: float, legacy: LegacyScores | None
) -> dict[str, Json]:
    """The parts of an out-of-sample validation."""
    year = math.sqrt(periods_per_year)
    documented = _DOCUMENTED_VALIDATION.severity(validation.score)
    return {
        "score": validation.score,
        "share_below": validation.share_below,
        "share_below_standard_error": validation.standard_error,
        "in_sample_sharpe_ratio": validation.in_sample_sharpe * year,
        "live_sharpe_ratio": validation.live_sharpe * year,
        "paths": validation.paths,
        "documented_warning": _DOCUMENTED_VALIDATION.warning,
        "documented_critical": _DOCUMENTED_VALIDATION.critical,
        "documented_severity": None if documented is None else documented.value,
        "legacy_validation": _finite(legacy.validation if legacy else None),
    }


def overfitting_parts(
    missing: MissingSharpe | None,
    trials: tuple[Cscv, float | None] | None,
    periods_per_year: float,
    legacy: LegacyScores | None,
) -> dict[str, Json]:
    """The parts of an overfitting judgement; `measure` says which of them is the value."""
    year = math.sqrt(periods_per_year)
    parts: dict[str, Json] = {
        "measure": "missing_sharpe" if trials is None else "pbo",
        "missing_sharpe": missing.missing if missing else None,
        "in_sample_sharpe_ratio": missing.in_sample_sharpe * year if missing else None,
        "live_sharpe_ratio": missing.live_sharpe * year if missing else None,
        "live_sharpe_standard_error": missing.standard_error * year if missing else None,
        "legacy_overfitting": _finite(legacy.overfitting if legacy else None),
    }
    if trials is not None:
        result, deflated = trials
        parts |= {
            "pbo": result.pbo,
            "mean_logit": result.mean_logit,
            "out_of_sample_loss": result.out_of_sample_loss,
            "degradation_slope": _finite(result.degradation_slope),
            "degradation_intercept": _finite(result.degradation_intercept),
            "deflated_sharpe_ratio": _finite(deflated),
            "splits": result.splits,
            "trials": result.trials,
            "trial_rows": result.rows,
        }
    return parts


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
