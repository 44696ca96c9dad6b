"""What a fan chart shows: the band of the launch projection and the live path within it."""

from collections.abc import Sequence
from datetime import date

from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.projections.chart import Chart, chart_of
from perf_alerts_dagster.projections.in_force import Outlook
from perf_alerts_dagster.records.reading import Reading

# A run's page is for reading: the worst strategies, and everything together.
MAXIMUM = 6


def charts_of(
    reading: Reading, outlook: Outlook, evaluations: Sequence[Evaluation], as_of: date
) -> tuple[Chart, ...]:
    """The charts of a judged session: the strategies with the worst news first, at most six."""
    ranks: dict[str, int] = {}
    for one in evaluations:
        is_breach = one.outcome is Outcome.BREACH and one.notified_severity is not None
        rank = one.notified_severity.rank if is_breach and one.notified_severity else -1
        ranks[one.strategy] = max(ranks.get(one.strategy, -1), rank + 10 * one.is_notified())
    names = [
        name
        for name, projections in outlook.in_force.items()
        if projections.launch is not None and name in reading.records.strategies
    ]
    chosen = sorted(names, key=lambda name: (-ranks.get(name, -1), name))[:MAXIMUM]
    found = []
    for name in chosen:
        launch = outlook.in_force[name].launch
        if launch is not None:
            found.append(chart_of(reading.records.strategies[name], launch, as_of))
    return tuple(found)
