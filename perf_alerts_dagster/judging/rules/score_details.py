"""The numbers behind a score, JSON-ready: what a person is shown next to it.

Sharpe ratios are annualised here; a number that is not finite is shown as null.
"""

import math

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.statistics.cscv import Cscv
from perf_alerts_dagster.statistics.legacy_scores import LegacyScores
from perf_alerts_dagster.statistics.out_of_sample import MissingSharpe, ValidationScore
from perf_alerts_dagster.statistics.walk_forward import StabilityScore

# The earlier system's limits on the 0 to 100 form of the validation score: shown, never judged.
_DOCUMENTED_VALIDATION = Ladder(breach="below", warning=70.0, critical=50.0)


def stability_parts(
    record: StrategyRecord, score: StabilityScore, legacy: LegacyScores | None
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
