"""The projections in force for one strategy, as the rules read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from perf_alerts_dagster.projections.bands import Fan
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.projection import Expectation
from perf_alerts_dagster.records.model import Floats, StrategyRecord


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
        """`launch:2026-01-05`: what an incident stays judged by."""
        return f"{self.kind}:{self.issued_on.isoformat()}"

    def returns_since(self, record: StrategyRecord) -> Floats:
        """The simple returns after the day of issue, at most as many as the horizon."""
        after = record.returns[record.dates > np.datetime64(self.issued_on, "D")]
        return after[: self.fan.horizon]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProjectionsInForce:
    """What is in force for one strategy: the launch projection, and the current one that judges."""

    launch: InForce | None = None
    judging: InForce | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the projections in force say.

    `projected`: who has a launch projection. `expectations`: by strategy the earlier month's
    expectation and the one of now; `monthly` is that earlier month's projection. `in_force` and
    `calibrations`: the projections and the healthy years by which each strategy is judged.
    """

    projected: frozenset[str] = frozenset()
    expectations: Mapping[str, tuple[Expectation | None, Expectation | None]] | None = None
    in_force: Mapping[str, ProjectionsInForce] = field(default_factory=dict)
    monthly: Mapping[str, InForce] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
