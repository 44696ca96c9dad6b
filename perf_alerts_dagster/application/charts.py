"""What a fan chart shows: the band of the launch projection and the live path within it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from perf_alerts_dagster.application.judging import Outlook
from perf_alerts_dagster.application.reading import Reading
from perf_alerts_dagster.domain.evaluation import Evaluation, Outcome
from perf_alerts_dagster.domain.forces import InForce
from perf_alerts_dagster.domain.record import Floats, StrategyRecord

# A run's page is for reading: the worst strategies, and everything together.
MOST = 6
_LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """One strategy's band over H sessions, and its live path so far (n <= H).

    All are cumulative simple returns since the day of issue. `lower` and `upper` are the
    two-sided simultaneous 95 % band; `inner_lower` and `inner_upper` the pointwise 68 % one.
    """

    strategy: str
    issued_on: date
    path: Floats
    median: Floats
    lower: Floats
    upper: Floats
    inner_lower: Floats
    inner_upper: Floats


def chart_of(record: StrategyRecord, force: InForce, as_of: date) -> Chart:
    """The chart of one strategy, standing on a session."""
    fan = force.fan
    lower, upper = fan.both(_LEVEL)
    path = np.log1p(np.maximum(force.returns_since(record.until(as_of)), -1.0 + 1e-12)).cumsum()
    return Chart(
        strategy=record.strategy,
        issued_on=force.issued_on,
        path=np.expm1(path),
        median=np.expm1(fan.median),
        lower=np.expm1(lower),
        upper=np.expm1(upper),
        inner_lower=np.expm1(fan.pointwise[4]),
        inner_upper=np.expm1(fan.pointwise[6]),
    )


def charts_of(
    reading: Reading, outlook: Outlook, evaluations: Sequence[Evaluation], as_of: date
) -> tuple[Chart, ...]:
    """The charts of a judged session: the strategies with the worst news first, at most six."""
    ranks: dict[str, int] = {}
    for one in evaluations:
        is_breach = one.outcome is Outcome.BREACH and one.told_severity is not None
        rank = one.told_severity.rank if is_breach and one.told_severity else -1
        ranks[one.strategy] = max(ranks.get(one.strategy, -1), rank + 10 * one.is_told())
    names = [
        name
        for name, forces in outlook.forces.items()
        if forces.launch is not None and name in reading.records.strategies
    ]
    chosen = sorted(names, key=lambda name: (-ranks.get(name, -1), name))[:MOST]
    found = []
    for name in chosen:
        launch = outlook.forces[name].launch
        if launch is not None:
            found.append(chart_of(reading.records.strategies[name], launch, as_of))
    return tuple(found)
