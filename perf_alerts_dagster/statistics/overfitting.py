"""How much of a backtest was luck: the part of its Sharpe ratio that live is missing.

Beside it, where the trials were kept: the deflated Sharpe ratio of the best one, and the
probability of backtest overfitting (`domain.cscv`).
"""

from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.sharpe import (
    TINY,
    deflated_sharpe_ratio,
    sharpe_moments,
    sharpe_standard_error,
)

ONE_SIDED_95 = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingSharpe:
    """The part of the in-sample Sharpe ratio that live is missing, 0 to 1; ratios per period.

    `standard_error` is that of the live ratio. `missing` is None where the in-sample ratio is
    not positive: nothing was promised, so nothing can be missing.
    """

    missing: float | None
    in_sample_sharpe: float
    live_sharpe: float
    standard_error: float


def missing_sharpe(reference: Floats, live: Floats) -> MissingSharpe | None:
    """clip(1 - (SR_live + 1.645 se) / SR_in, 0, 1): what is missing with 95 % confidence.

    `reference` and `live` are simple returns per period; se = sqrt((1 - g3 SR + (g4 - 1)/4 SR^2)
    / (n - 1)) (Mertens 2002; Bailey, Lopez de Prado, J. Risk 15(2), 2012). None where either
    does not vary, or live is too short (12 rows) for an error.
    """
    before, now = sharpe_moments(reference), sharpe_moments(live)
    if before is None or now is None:
        return None
    error = sharpe_standard_error(now.sharpe, now.rows, now.skew, now.kurtosis)
    if error is None:
        return None
    missing = None
    if before.sharpe > TINY:
        kept = (now.sharpe + ONE_SIDED_95 * error) / before.sharpe
        missing = min(1.0, max(0.0, 1.0 - kept))
    return MissingSharpe(
        missing=missing,
        in_sample_sharpe=before.sharpe,
        live_sharpe=now.sharpe,
        standard_error=error,
    )


def deflated_best_trial(trials: Floats) -> float | None:
    """Deflated Sharpe ratio of the best of N trials over all T rows; `trials` is (T, N).

    The probability that its true Sharpe ratio is above the best that N trials without any skill
    would show. None where fewer than 2 trials vary.

    Source: Bailey, Lopez de Prado, JPM 40(5), 2014.
    """
    found = [moments for trial in trials.T if (moments := sharpe_moments(trial)) is not None]
    if len(found) < 2:
        return None
    best = max(found, key=lambda moments: moments.sharpe)
    variance = float(np.var([moments.sharpe for moments in found], ddof=1))
    return deflated_sharpe_ratio(
        best.sharpe, best.rows, best.skew, best.kurtosis, len(found), variance
    )
