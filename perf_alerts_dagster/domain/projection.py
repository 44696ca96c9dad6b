"""What a strategy's return may do over a horizon, from rows before the day of issue only."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from perf_alerts_dagster.domain.bootstrap import stationary_indices
from perf_alerts_dagster.domain.evaluation import Json
from perf_alerts_dagster.domain.record import Floats, StrategyRecord

REFERENCE_ROWS = 756
LEAST_REFERENCE_ROWS = 252
LAUNCH_HORIZON = 252
CURRENT_HORIZON = 63
# Mean block length of the bootstrap, in rows: about a trading month.
BLOCK = 20.0
# Two-sided levels 68, 80, 90, 95 and 99 %, and the median.
PROBABILITIES = (0.005, 0.025, 0.05, 0.1, 0.16, 0.5, 0.84, 0.9, 0.95, 0.975, 0.995)
DRAWDOWN_PROBABILITIES = (0.01, 0.05, 0.5)
_ROWS_PER_MONTH = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """A projection of one strategy.

    `bands` (Q, H) are pointwise quantiles, at `PROBABILITIES`, of the cumulative return after
    1..H rows; `drawdowns` are quantiles, at `DRAWDOWN_PROBABILITIES`, of the deepest drawdown
    within the horizon (negative). `mean` and `sigma` are the window's, per row.
    """

    strategy: str
    kind: str
    issued_on: date
    horizon: int
    rows: int
    paths: int
    mean: float
    sigma: float
    bands: Floats
    drawdowns: Floats

    def facts(self) -> dict[str, Json]:
        """What is not an array, JSON-ready."""
        return {
            "method": "stationary bootstrap",
            "block": BLOCK,
            "rows": self.rows,
            "paths": self.paths,
            "mean": self.mean,
            "sigma": self.sigma,
            "probabilities": list(PROBABILITIES),
            "drawdown_probabilities": list(DRAWDOWN_PROBABILITIES),
        }

    def arrays(self) -> Mapping[str, Floats]:
        """The arrays by name."""
        return {"bands": self.bands, "drawdowns": self.drawdowns}


def seed_for(as_of: date, settings_version: str) -> int:
    """The seed of a date under some settings, in [0, 2^63); nothing else changes it."""
    digest = hashlib.sha256(f"{as_of.isoformat()}|{settings_version}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def reference_returns(record: StrategyRecord) -> Floats | None:
    """The last 756 backtest rows, at least 252; without a backtest the first 756 live rows.

    None where there are too few, or where the window holds a wipe-out.
    """
    backtest = record.returns[~record.live]
    if len(backtest):
        window = backtest[-REFERENCE_ROWS:]
        enough = len(window) >= LEAST_REFERENCE_ROWS
    else:
        window = record.returns[:REFERENCE_ROWS]
        enough = len(window) >= REFERENCE_ROWS
    return window if enough and bool((window > -1.0).all()) else None


def recent_returns(record: StrategyRecord) -> Floats | None:
    """The last 756 rows, at least 252, whatever their segment; None where there are too few."""
    window = record.returns[-REFERENCE_ROWS:]
    enough = len(window) >= LEAST_REFERENCE_ROWS
    return window if enough and bool((window > -1.0).all()) else None


def project(
    strategy: str,
    window: Floats,
    *,
    kind: str,
    issued_on: date,
    horizon: int,
    paths: int,
    seed: int,
    haircut: float = 0.0,
) -> Projection:
    """Project one strategy by resampling its window; the same arguments give the same bits.

    Args:
        strategy: Its name.
        window: Simple returns per row (n), each above -1, oldest first.
        kind: `launch` or `current`.
        issued_on: The day of issue; the window holds no row after it.
        horizon: Rows to project.
        paths: Simulated paths.
        seed: Seeds a generator of its own, so that no strategy depends on another's presence.
        haircut: Share of a positive mean that is taken off every row, in [0, 1].
    """
    mean = float(window.mean())
    lowered = window - haircut * max(mean, 0.0)
    logs = np.log1p(np.maximum(lowered, -1.0 + 1e-12))
    places = stationary_indices(np.random.default_rng(seed), len(window), paths, horizon, BLOCK)
    walked = np.cumsum(logs[places], axis=1)
    deepest = np.zeros(paths)
    peak = np.zeros(paths)
    for step in range(horizon):
        np.maximum(peak, walked[:, step], out=peak)
        np.minimum(deepest, walked[:, step] - peak, out=deepest)
    walked.sort(axis=0)
    return Projection(
        strategy=strategy,
        kind=kind,
        issued_on=issued_on,
        horizon=horizon,
        rows=len(window),
        paths=paths,
        mean=mean - haircut * max(mean, 0.0),
        sigma=float(window.std(ddof=1)),
        bands=np.expm1(_quantiles(walked, PROBABILITIES)),
        drawdowns=np.expm1(np.quantile(deepest, DRAWDOWN_PROBABILITIES)),
    )


def monthly_expectation(
    mean: float, sigma: float, rows: int, *, periods_per_year: float
) -> tuple[float, float]:
    """Expected return of a month and its standard error: periods x mean, periods x s / sqrt(n)."""
    periods = periods_per_year / _ROWS_PER_MONTH
    return periods * mean, periods * sigma / math.sqrt(rows)


def _quantiles(sorted_paths: Floats, probabilities: tuple[float, ...]) -> Floats:
    """Linear (type 7) quantiles (Q, H) of columns that are sorted already."""
    places = np.asarray(probabilities) * (len(sorted_paths) - 1)
    low = np.floor(places).astype(int)
    part = (places - low)[:, None]
    high = np.minimum(low + 1, len(sorted_paths) - 1)
    found: Floats = sorted_paths[low] * (1 - part) + sorted_paths[high] * part
    return found
