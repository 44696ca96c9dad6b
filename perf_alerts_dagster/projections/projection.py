"""Projections of a strategy's return over a horizon, from rows before the day of issue."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

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
from perf_alerts_dagster.projections.ports import kind_of
from perf_alerts_dagster.projections.shadow_lives import ShadowCalibration
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.records.desk import Baseline
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.decay import (
    MEAN_BLOCK,
    DecayReference,
    decay_reference,
    long_run_variance,
)
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
    baseline: Baseline | None = None

    def facts(self) -> dict[str, Json]:
        """The scalar values, as JSON."""
        based: dict[str, Json] = {}
        if (baseline := self.baseline) is not None:
            based = {"baseline_from": baseline.since.isoformat(), "baseline_by": baseline.by}
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
            **based,
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
    projection starts with that day's volatility. `haircut` is the share of a positive mean that is
    taken off every row, in [0, 1]; `baseline` is the one that says so, if any.
    """

    strategy: str
    window: Floats
    recent: Floats | None = None
    haircut: float = 0.0
    baseline: Baseline | None = None

    def residuals(self) -> Residuals | None:
        """The filtered window; None where its returns do not vary."""
        residuals = filter_returns(self.window, haircut=self.haircut)
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


def reference_record(record: StrategyRecord) -> StrategyRecord:
    """All backtest rows since the last wipe-out; without a backtest the first 756 live rows."""
    stop = int((~record.live).sum()) or min(REFERENCE_ROWS, len(record))
    wiped_out = np.flatnonzero(record.returns[:stop] <= -1.0)
    return record.rows(int(wiped_out[-1]) + 1 if len(wiped_out) else 0, stop)


def whole_reference(record: StrategyRecord) -> Floats:
    """The returns of `reference_record`."""
    return reference_record(record).returns


def recent_returns(record: StrategyRecord) -> Floats | None:
    """The last 756 rows, at least 252, whatever their segment; None where there are too few."""
    return _usable(record.returns[-REFERENCE_ROWS:], MINIMUM_REFERENCE_ROWS)


def first_counted(record: StrategyRecord, since: date | None = None) -> int:
    """The position of the first row that counts against the reference, of `since` or later.

    That is the first live row; without a backtest the row after the first 756, which are no
    evidence against themselves. The number of rows where there is none.
    """
    first = int((~record.live).sum()) or REFERENCE_ROWS
    if since is not None:
        first = max(first, int(np.searchsorted(record.dates, np.datetime64(since, "D"))))
    return min(first, len(record))


def reference_subject(record: StrategyRecord, haircut: float) -> Subject | None:
    """What a launch projection is made of: the reference, and the volatility of the newest rows."""
    window = reference_returns(record)
    if window is None:
        return None
    recent = recent_returns(record)
    return Subject(strategy=record.strategy, window=window, recent=recent, haircut=haircut)


def filtered_reference(
    record: StrategyRecord, haircut: float
) -> tuple[Residuals, DecayReference] | None:
    """What a calibration is made of beside the rows; None where they are too few or do not vary."""
    subject = reference_subject(record, haircut)
    residuals = None if subject is None else subject.residuals()
    decay = decay_reference(np.log1p(whole_reference(record)), haircut=haircut)
    return None if residuals is None or decay is None else (residuals, decay)


def _launch_day(record: StrategyRecord, as_of: date, baseline: Baseline | None) -> date | None:
    """The day the launch projection in force began: the last backtest row, or 252 rows on.

    With a baseline it is the last row before that; None where none is before it yet.
    """
    rows = int(np.searchsorted(record.dates, np.datetime64(as_of, "D"), side="right"))
    first = int(record.live.argmax())
    if not record.live[first] or first >= rows:
        return None
    if baseline is not None and (first := first_counted(record, baseline.since)) > rows:
        return None
    last = range(first - 1, rows, LAUNCH_HORIZON)[-1]
    day: date = record.dates[max(last, 0)].astype(object)
    return day


def launch_days(
    record: StrategyRecord, as_of: date, baseline: Baseline | None, after: date, most: int
) -> list[date]:
    """The days after `after` on which launch projections begin, the newest `most`, ascending."""
    days: list[date] = []
    day = _launch_day(record, as_of, baseline)
    while day is not None and day > after and len(days) < most:
        days.append(day)
        day = _launch_day(record, day - timedelta(days=1), baseline)
    return days[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The haircut at which the reference has the mean of the live rows so far.

    `haircut` is 1 - live mean / reference mean, in [0, 1] and of whole per cents.
    `standard_error` is that of the share before it is rounded, from the errors of both means,
    which are per row in log returns. `rows` are the live rows.
    """

    haircut: float
    standard_error: float
    rows: int
    live_mean: float
    reference_mean: float


def propose(record: StrategyRecord, since: date) -> Proposal | None:
    """The haircut to propose for a baseline from a day on, by the live rows before it.

    None with fewer than two such rows or a wipe-out among them, or where the reference's mean is
    not positive: a haircut lowers nothing then.
    """
    live = record.returns[first_counted(record) : first_counted(record, since)]
    reference = whole_reference(record)
    if min(len(live), len(reference)) < 2 or bool((live <= -1.0).any()):
        return None
    logs = np.log1p(live), np.log1p(reference)
    mean, expected = (float(each.mean()) for each in logs)
    if expected <= 0.0:
        return None
    share = mean / expected
    errors = [math.sqrt(long_run_variance(each, MEAN_BLOCK) / len(each)) for each in logs]
    return Proposal(
        haircut=round(min(max(1.0 - share, 0.0), 1.0), 2),
        standard_error=math.hypot(errors[0], share * errors[1]) / expected,
        rows=len(live),
        live_mean=mean,
        reference_mean=expected,
    )


def _usable(window: Floats, required: int) -> Floats | None:
    return window if len(window) >= required and bool((window > -1.0).all()) else None


def project(
    subjects: Sequence[Subject],
    *,
    horizon: int,
    paths: int,
    seed: int,
) -> list[Projection]:
    """Project strategies together, along shared draws; the same arguments give the same bits.

    No strategy's projection depends on the others. A strategy whose returns do not vary is left
    out: there is nothing to resample.

    Args:
        subjects: The strategies; no window holds a row after the day of issue.
        horizon: Rows to project.
        paths: Simulated paths.
        seed: The seed of the shared draws.
    """
    varying = [
        (subject, residuals)
        for subject in subjects
        if (residuals := subject.residuals()) is not None
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
                mean=mean - subject.haircut * max(mean, 0.0),
                sigma=float(window.std(ddof=1)),
                haircut=subject.haircut,
                residuals=residuals,
                fan=fan,
                baseline=subject.baseline,
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
    means already. `number` is that of the baseline that it was issued for, `baseline_from` the
    first day that counts against it, `baseline_by` who set it; 0 and None without one.
    """

    kind: str
    issued_on: date
    fan: Fan
    mean: float
    log_mean: float
    log_sigma: float
    haircut: float = 0.0
    number: int = 0
    baseline_from: date | None = None
    baseline_by: str | None = None

    @property
    def name(self) -> str:
        """The name in incidents, such as `launch:2026-01-05`; `launch-2:` by a second baseline."""
        return f"{kind_of(self.kind, self.number)}:{self.issued_on.isoformat()}"

    @property
    def parts(self) -> dict[str, Json]:
        """What evaluations against it say of its haircut."""
        if self.baseline_from is None:
            return {"haircut": self.haircut}
        return {
            "haircut": self.haircut,
            "baseline_from": self.baseline_from.isoformat(),
            "baseline_by": self.baseline_by,
        }

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
    `calibrations`: the projections and the healthy years by which each strategy is judged;
    `life_cusum` those of the strategies that this rule is still judged for, `shadows` the healthy
    twins of those with a shadow. `against_backtest` maps (strategy, rule) of decay to the first
    session of an incident that was found against the backtest, where it is still judged so.
    """

    projected: frozenset[str] = frozenset()
    expectations: Mapping[str, tuple[Expectation | None, Expectation | None]] | None = None
    in_force: Mapping[str, ProjectionsInForce] = field(default_factory=dict)
    monthly: Mapping[str, InForce] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    life_cusum: Mapping[str, Calibration] = field(default_factory=dict)
    against_backtest: Mapping[tuple[str, str], date] = field(default_factory=dict)
    shadows: Mapping[str, ShadowCalibration] = field(default_factory=dict)
