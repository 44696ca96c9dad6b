"""The plot of each rule, by the name that the rule registers."""

from collections.abc import Callable, Mapping

import numpy as np

from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation, Kind, Outcome
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.plots import of_bands, of_days, of_decay, of_paths
from perf_alerts_dagster.plots.judged import Judged
from perf_alerts_dagster.plots.plot import Plot

PLOTS: Mapping[str, Callable[[Judged], Plot | None]] = {
    "band": of_bands.band,
    "drawdown": of_paths.drawdown,
    "rolling_sharpe": of_paths.sharpe,
    "volatility": of_paths.volatility,
    "trades": of_paths.trades,
    "shadow": of_paths.shadow,
    "column": of_paths.column,
    "expectations": of_paths.expectations,
    "folds": of_paths.folds,
    "sharpe_ratios": of_paths.sharpe_ratios,
    "shortfall": of_decay.shortfall,
    "sizes": of_days.sizes,
    "returns": of_days.returns,
    "periods": of_days.periods,
    "exceedances": of_days.exceedances,
    "calendar": of_days.calendar,
}


def plot_of(evaluation: Evaluation, context: JudgeContext) -> Plot | None:
    """The plot of one rule's evaluation.

    Args:
        evaluation: With a value, or as an incident holds it.
        context: That by which it was judged; its records end with its as-of date.

    Returns:
        None where nothing was measured, as of a record that cannot be read, or where the rows or
        the projection that it was judged by are not in the context.
    """
    rule, record = BY_ID.get(evaluation.rule), context.records.get(evaluation.strategy)
    if rule is None or record is None or evaluation.value is None:
        return None
    # The daily rules about the newest row, and the lateness, look at provisional rows too.
    is_newest = rule.newest_row or evaluation.outcome is Outcome.NO_DATA
    rows = record if evaluation.provisional or is_newest else context.finals(record)
    if rule.kind is Kind.EVENT and evaluation.session is not None:
        rows = record.until(evaluation.session)
    if not len(rows):
        return None
    # Whatever the rule, no data is missing rows.
    name = "calendar" if evaluation.outcome is Outcome.NO_DATA else rule.plot
    with np.errstate(all="ignore"):
        return PLOTS[name](Judged(evaluation=evaluation, rule=rule, rows=rows, context=context))
