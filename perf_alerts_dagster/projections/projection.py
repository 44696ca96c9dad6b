"""Projections of a strategy's return over a horizon, from rows before the day of issue."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.projections.bands import (
    DRAWDOWN_PROBABILITIES,
    PATHS,
    PROBABILITIES,
    Fan,
    fans,
)
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, Residuals, filter_returns

REFERENCE_ROWS = WINDOW
MINIMUM_REFERENCE_ROWS = 252
LAUNCH_HORIZON = 252
CURRENT_HORIZON = 63
# The arrays of a fan that are stored as they are.
_AS_THEY_ARE = ("median", "below", "above", "sup_days", "sup_below", "sup_above", "sup_both")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """A projection of one strategy.

    `mean` and `sigma` are the window's, per row, in simple returns; `fan` is in log returns.
    """

    strategy: str
    horizon: int
    rows: int
    paths: int
    mean: float
    sigma: float
    haircut: float
    residuals: Residuals
    fan: Fan

    def facts(self) -> dict[str, Json]:
        """The scalar values, as JSON."""
        return {
            "method": "filtered historical simulation",
            "rows": self.rows,
            "paths": self.paths,
            "mean": self.mean,
            "sigma": self.sigma,
            "haircut": self.haircut,
            "expected": self.horizon * self.mean,
            "probabilities": list(PROBABILITIES),
            "drawdown_probabilities": list(DRAWDOWN_PROBABILITIES),
            "log_mean": self.residuals.mean,
            "log_sigma": self.residuals.sigma,
        }

    def arrays(self) -> Mapping[str, Floats]:
        """The arrays by name; `bands` and `drawdowns` as simple returns, the rest logs."""
        return {
            "bands": np.expm1(self.fan.pointwise),
            "drawdowns": np.expm1(self.fan.drawdowns),
            **{name: getattr(self.fan, name) for name in (*_AS_THEY_ARE, "sup_levels")},
        }


def fan_of(arrays: Mapping[str, Floats], paths: int = PATHS) -> Fan:
    """The fan of so many paths from the arrays of `Projection.arrays`.

    Raises:
        KeyError: the arrays are those of an older method, which has no simultaneous band.
    """
    return Fan(
        pointwise=np.log1p(arrays["bands"]),
        drawdowns=np.log1p(arrays["drawdowns"]),
        # The first projections had even levels, which they did not store.
        sup_levels=arrays.get("sup_levels", np.linspace(0.0, 1.0, arrays["sup_both"].size)),
        paths=paths,
        **{name: arrays[name] for name in _AS_THEY_ARE},
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A strategy to project: its name and its window of simple returns (n), oldest first.

    `recent` are the newest rows before the day of issue, where the window ends earlier: the
    projection starts with that day's volatility.
    """

    strategy: str
    window: Floats
    recent: Floats | None = None

    def residuals(self, haircut: float = 0.0) -> Residuals | None:
        """The filtered window; None where its returns do not vary."""
        residuals = filter_returns(self.window, haircut=haircut)
        newest = None if self.recent is None else filter_returns(self.recent)
        if residuals is None or newest is None:
            return residuals
        return replace(residuals, variance=max(newest.variance, residuals.floor))


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
        return _usable(backtest[-REFERENCE_ROWS:], MINIMUM_REFERENCE_ROWS)
    return _usable(record.returns[:REFERENCE_ROWS], REFERENCE_ROWS)


def whole_reference(record: StrategyRecord) -> Floats:
    """All backtest rows since the last wipe-out; without a backtest the first 756 live rows."""
    backtest = record.returns[~record.live]
    rows = backtest if len(backtest) else record.returns[:REFERENCE_ROWS]
    wiped_out = np.flatnonzero(rows <= -1.0)
    return rows[wiped_out[-1] + 1 :] if len(wiped_out) else rows


def recent_returns(record: StrategyRecord) -> Floats | None:
    """The last 756 rows, at least 252, whatever their segment; None where there are too few."""
    return _usable(record.returns[-REFERENCE_ROWS:], MINIMUM_REFERENCE_ROWS)


def _usable(window: Floats, required: int) -> Floats | None:
    return window if len(window) >= required and bool((window > -1.0).all()) else None


def project(
    subjects: Sequence[Subject],
    *,
    horizon: int,
    paths: int,
    seed: int,
    haircut: float = 0.0,
) -> list[Projection]:
    """Project strategies together, along shared draws; the same arguments give the same bits.

    No strategy's projection depends on the others. A strategy whose returns do not vary is left
    out: there is nothing to resample.

    Args:
        subjects: The strategies; no window holds a row after the day of issue.
        horizon: Rows to project.
        paths: Simulated paths.
        seed: The seed of the shared draws.
        haircut: Share of a positive mean that is taken off every row, in [0, 1].
    """
    varying = [
        (subject, residuals)
        for subject in subjects
        if (residuals := subject.residuals(haircut)) is not None
    ]
    drawn = draw(seed, paths, horizon)
    bands = fans([residuals for _, residuals in varying], drawn, horizon)
    projections = []
    for (subject, residuals), fan in zip(varying, bands, strict=True):
        window = subject.window[-REFERENCE_ROWS:]
        mean = float(window.mean())
        projections.append(
            Projection(
                strategy=subject.strategy,
                horizon=fan.horizon,
                rows=residuals.rows,
                paths=paths,
                mean=mean - haircut * max(mean, 0.0),
                sigma=float(window.std(ddof=1)),
                haircut=haircut,
                residuals=residuals,
                fan=fan,
            )
        )
    return projections


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The monthly return that a projection expects, and its standard error.

    `standard_error` is that of `monthly`: rows per month times s / sqrt(n) of the window.
    """

    issued_on: str
    monthly: float
    standard_error: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InForce:
    """One projection in force: its fan, and the mean per row of its window in simple returns.

    `log_mean` and `log_sigma` are the window's in log returns; the haircut is taken off both
    means already.
    """

    kind: str
    issued_on: date
    fan: Fan
    mean: float
    log_mean: float
    log_sigma: float
    haircut: float = 0.0

    @property
    def name(self) -> str:
        """The name in incidents, such as `launch:2026-01-05`."""
        return f"{self.kind}:{self.issued_on.isoformat()}"

    def returns_since(self, record: StrategyRecord) -> Floats:
        """The simple returns after the day of issue, at most as many as the horizon."""
        after = record.returns[record.dates > np.datetime64(self.issued_on, "D")]
        return after[: self.fan.horizon]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProjectionsInForce:
    """One strategy's launch and judging current projections; None where there is none."""

    launch: InForce | None = None
    judging: InForce | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The projections in force on one date, by strategy.

    `projected`: strategies with a launch projection. `expectations`: by strategy, the earlier
    month's and today's expectation; `monthly` is the earlier month's projection. `in_force` and
    `calibrations`: the projections and the healthy years by which each strategy is judged.
    """

    projected: frozenset[str] = frozenset()
    expectations: Mapping[str, tuple[Expectation | None, Expectation | None]] | None = None
    in_force: Mapping[str, ProjectionsInForce] = field(default_factory=dict)
    monthly: Mapping[str, InForce] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
