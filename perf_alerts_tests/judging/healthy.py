"""Healthy years as a formula, to try budgets with."""

import math
from typing import Any

import numpy as np

from perf_alerts_dagster.projections.calibration import TAILS, Calibration
from perf_alerts_dagster.projections.watchers import DRAWDOWN_YEARS
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_tests.builders import noise

# Every healthy year's drawdown is at least this deep, and one in a hundred years' this.
SHALLOWEST, DEEPEST = 0.02, 0.15


def healthy(*, deepest: float = DEEPEST, steep: float = 1.0, **changes: Any) -> Calibration:
    """Calibrated years in which the share of years that notify rises with the factor.

    At a factor of `steep` it is what is calibrated of 10 and of 2 %: 8 and 1.3 %, besides the
    years that pass the strategy's own line. The depth of a drawdown falls with the share of years
    that reach it.
    """
    depths = SHALLOWEST + (deepest - SHALLOWEST) * (0.01 / np.maximum(TAILS, 1e-4)) ** 0.5
    badness = -np.log1p(-np.minimum(depths, 0.95))
    factors = {
        "warning": steep * TAILS / 0.08,
        "critical": steep * TAILS / 0.013,
    }
    seen = {
        f"{lost}:{severity}": values / math.exp(lost)
        for lost in range(4)
        for severity, values in factors.items()
    }
    values: dict[str, Any] = {
        "worst": {f"drawdown_{year}": badness for year in range(1, DRAWDOWN_YEARS + 1)},
        "factors": factors,
        "losses": seen,
        "decay": decay_reference(np.log1p(noise(800))),
    }
    return Calibration(**(values | changes))
