"""The numbers that stand beside a score, each under its own name."""

import math

import pytest

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.judging.rules.scores import (
    overfitting_parts,
    stability_parts,
    validation_parts,
)
from perf_alerts_dagster.statistics.scores.cscv import Cscv
from perf_alerts_dagster.statistics.scores.legacy_scores import LegacyScores
from perf_alerts_dagster.statistics.scores.out_of_sample import MissingSharpe, ValidationScore
from perf_alerts_dagster.statistics.scores.walk_forward import Fold, FoldResult, StabilityScore
from perf_alerts_tests.builders import a_record, near, noise

LEGACY = LegacyScores(stability=71.0, validation=62.0, overfitting=0.53)
ENDLESS = LegacyScores(stability=math.inf, validation=-math.inf, overfitting=math.nan)
# A year of four periods: annual Sharpe ratios are twice those of a period.
PERIODS = 4.0


@pytest.mark.parametrize(("legacy", "shown"), [(LEGACY, 71.0), (ENDLESS, None), (None, None)])
@pytest.mark.parametrize(("efficiency", "efficient"), [(0.9, 0.9), (math.inf, None), (None, None)])
def test_a_stability_stands_with_its_folds(
    legacy: LegacyScores | None, shown: float | None, efficiency: float | None, efficient: Json
) -> None:
    found = StabilityScore(
        score=66.0,
        psr=0.97,
        share_profitable=0.75,
        efficiency=efficiency,
        sharpe=1.1,
        t_statistic=2.2,
        total_return=0.3,
        rows=4,
        folds=(
            FoldResult(
                fold=Fold(first=0, start=2, stop=4),
                in_sample_annual=0.1,
                out_of_sample_annual=0.2,
                out_of_sample_total=0.05,
            ),
        ),
    )

    assert stability_parts(a_record(noise(6)), found, legacy) == {
        "psr": 0.97,
        "share_profitable": 0.75,
        "walk_forward_efficiency": efficient,
        "sharpe_ratio": 1.1,
        "t_statistic": 2.2,
        "total_return": 0.3,
        "rows": 4,
        "folds": [
            {
                "first": "2023-01-04",
                "last": "2023-01-05",
                "in_sample_annual_return": 0.1,
                "out_of_sample_annual_return": 0.2,
                "out_of_sample_return": 0.05,
            }
        ],
        "legacy_stability": shown,
    }


@pytest.mark.parametrize(("legacy", "shown"), [(LEGACY, 62.0), (ENDLESS, None), (None, None)])
@pytest.mark.parametrize(
    ("score", "documented"),
    [(70.0, None), (69.9, "warning"), (50.0, "warning"), (49.9, "critical")],
)
def test_a_validation_stands_with_the_documented_limits(
    legacy: LegacyScores | None, shown: float | None, score: float, documented: str | None
) -> None:
    found = ValidationScore(
        score=score,
        share_below=0.04,
        standard_error=0.002,
        in_sample_sharpe=0.5,
        live_sharpe=-0.25,
        paths=2000,
    )

    assert validation_parts(found, PERIODS, legacy) == {
        "score": score,
        "share_below": 0.04,
        "share_below_standard_error": 0.002,
        "in_sample_sharpe_ratio": 1.0,
        "live_sharpe_ratio": -0.5,
        "paths": 2000,
        "documented_warning": 70.0,
        "documented_critical": 50.0,
        "documented_severity": documented,
        "legacy_validation": shown,
    }


MISSING = MissingSharpe(missing=0.4, in_sample_sharpe=0.5, live_sharpe=0.25, standard_error=0.05)


@pytest.mark.parametrize(("legacy", "shown"), [(LEGACY, 0.53), (ENDLESS, None), (None, None)])
def test_without_trials_the_missing_sharpe_ratio_is_the_measure(
    legacy: LegacyScores | None, shown: float | None
) -> None:
    assert overfitting_parts(MISSING, None, PERIODS, legacy) == {
        "measure": "missing_sharpe",
        "missing_sharpe": 0.4,
        "in_sample_sharpe_ratio": 1.0,
        "live_sharpe_ratio": 0.5,
        "live_sharpe_standard_error": near(0.1),
        "legacy_overfitting": shown,
    }


@pytest.mark.parametrize(("deflated", "shown"), [(0.8, 0.8), (math.nan, None), (None, None)])
@pytest.mark.parametrize(
    ("line", "drawn"), [((0.5, -0.1), (0.5, -0.1)), ((None, None), (None, None))]
)
def test_with_trials_pbo_is_the_measure_and_the_rest_stands_beside_it(
    deflated: float | None,
    shown: float | None,
    line: tuple[float | None, float | None],
    drawn: tuple[float | None, float | None],
) -> None:
    found = Cscv(
        pbo=0.35,
        mean_logit=0.7,
        out_of_sample_loss=0.15,
        degradation_slope=line[0],
        degradation_intercept=line[1],
        splits=12870,
        trials=10,
        rows=992,
    )

    assert overfitting_parts(None, (found, deflated), PERIODS, None) == {
        "measure": "pbo",
        "missing_sharpe": None,
        "in_sample_sharpe_ratio": None,
        "live_sharpe_ratio": None,
        "live_sharpe_standard_error": None,
        "legacy_overfitting": None,
        "pbo": 0.35,
        "mean_logit": 0.7,
        "out_of_sample_loss": 0.15,
        "degradation_slope": drawn[0],
        "degradation_intercept": drawn[1],
        "deflated_sharpe_ratio": shown,
        "splits": 12870,
        "trials": 10,
        "trial_rows": 992,
    }
