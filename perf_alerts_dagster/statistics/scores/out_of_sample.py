"""Live against the backtest: could the backtest have produced the live Sharpe ratio?

`missing_sharpe` is the part of the backtest's Sharpe ratio that is missing in live. In
`out_of_sample`, F is the share of resampled backtests, as long as the live record, whose Sharpe
ratio is at or below the live one: small when live is worse than nearly all of the backtest.
"""

import math
from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.sharpe import TINY, sharpe_moments, sharpe_standard_error

PATHS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationScore:
    """`score` = 100 min(1, 2 F), 0 to 100; `share_below` is F; Sharpe ratios are per period.

    `standard_error` is that of F from the number of paths, sqrt(F (1 - F) / paths).
    """

    score: float
    share_below: float
    standard_error: float
    in_sample_sharpe: float
    live_sharpe: float
    paths: int


def out_of_sample(
    reference: Floats, live: Floats, rng: np.random.Generator, paths: int = PATHS
) -> ValidationScore | None:
    """Rank the live Sharpe ratio among bootstrapped ones of the reference segment.

    `reference` and `live` are simple returns per period. Each path draws as many rows as `live`
    has, one by one (blocks of 1, Efron 1979): the error of a Sharpe ratio is that of its mean, for
    which the optimal block from returns is near 1, and longer blocks put more of the sample's
    healthy F at or below 0.05 (12 % with blocks of 1, 17 % of 20). A path that does not vary
    has a Sharpe ratio of 0. None where the reference or the live rows do not vary.
    """
    before, now = sharpe_moments(reference), sharpe_moments(live)
    if before is None or now is None:
        return None
    ratios = _bootstrap_sharpe_ratios(reference, len(live), rng, paths)
    # Live is one of the paths: the share is never 0.
    below = (int((ratios <= now.sharpe).sum()) + 1.0) / (paths + 1.0)
    return ValidationScore(
        score=100.0 * min(1.0, 2.0 * below),
        share_below=below,
        standard_error=math.sqrt(below * (1.0 - below) / paths),
        in_sample_sharpe=before.sharpe,
        live_sharpe=now.sharpe,
        paths=paths,
    )


def _bootstrap_sharpe_ratios(
    reference: Floats, rows: int, rng: np.random.Generator, paths: int
) -> Floats:
    """Sharpe ratios per period (paths) of `rows` rows drawn with replacement."""
    # In units of the largest return, so that no square overflows.
    scaled = reference / np.abs(reference).max()
    drawn = scaled[rng.integers(0, len(reference), size=(paths, rows))]
    means: Floats = drawn.mean(axis=1)
    deviations: Floats = drawn.std(axis=1, ddof=1)
    ratios: Floats = np.divide(means, deviations, out=np.zeros(paths), where=deviations > TINY)
    return ratios


ONE_SIDED_95 = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingSharpe:
    """The share, 0 to 1, of the in-sample Sharpe ratio that live lacks; ratios are per period.

    `standard_error` is that of the live ratio. `missing` is None where the in-sample ratio is
    not positive.
    """

    missing: float | None
    in_sample_sharpe: float
    live_sharpe: float
    standard_error: float


def missing_sharpe(reference: Floats, live: Floats) -> MissingSharpe | None:
    """clip(1 - (SR_live + 1.645 se) / SR_in, 0, 1): the missing share with 95 % confidence.

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
        retained = (now.sharpe + ONE_SIDED_95 * error) / before.sharpe
        missing = min(1.0, max(0.0, 1.0 - retained))
    return MissingSharpe(
        missing=missing,
        in_sample_sharpe=before.sharpe,
        live_sharpe=now.sharpe,
        standard_error=error,
    )
