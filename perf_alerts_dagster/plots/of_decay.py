"""The plots of decay: what a rule adds up, against its limit for the age of the life."""

import math
from dataclasses import replace

import numpy as np

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.context import Case
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule, shown
from perf_alerts_dagster.judging.rules import gap, life_cusum
from perf_alerts_dagster.judging.rules.catalogue import BY_ID, unit_of
from perf_alerts_dagster.judging.rules.decay import (
    LONG,
    OWN,
    OWN_ROWS,
    SHORT,
    SUM,
    Life,
    judge_life,
)
from perf_alerts_dagster.judging.rules.hedged import RULE as HEDGED
from perf_alerts_dagster.judging.rules.hedged import sums_since_launch
from perf_alerts_dagster.plots.judged import (
    Judged,
    Places,
    axis_of,
    limit_at,
    since_beyond,
    thinned,
)
from perf_alerts_dagster.plots.plot import Plot, Series, values_of
from perf_alerts_dagster.projections.projection import first_counted
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.decay import decay_sum, gaps, own_shortfall
from perf_alerts_dagster.statistics.hedge import against_own

_ROWS = {SHORT.id: 126, LONG.id: 252}


def shortfall(judged: Judged) -> Plot | None:
    """The rule's value as of each row, and the least one that it notifies at that age."""
    if judged.rule is life_cusum.RULE:
        return _life_cusum(judged)
    life = _life_of(judged)
    if life is None:
        return None
    rule, found = judged.rule, judged.evaluation
    found_on = judged.part("found_on") if rule is gap.RULE and found.severity else None
    if found_on:
        # What found the gap.
        rule = BY_ID.get(str(judged.part("found_by")), rule)
    is_own = judged.part("compared_with") == OWN and life.has_backtest and rule is not SUM
    first = OWN_ROWS if is_own else 0
    rows = len(life.scores) - first
    year, at = life.calibration.year, first + rows - 1
    if found_on:
        at = int(np.searchsorted(life.dates, np.datetime64(found_on)))
    elif rule is gap.RULE:
        at = gap.newest_look(rows, year)
    places = first + thinned(rows, at - first)
    values = _own_values(life, rule, places) if is_own else _values(life, rule)[places]
    severity = found.severity
    is_critical = severity is not None and severity.rank >= Severity.CRITICAL.rank
    by_year = [
        life.limits(rule, age)[is_critical] for age in range(1, len(life.scores) - first + 1, year)
    ]
    limits = np.array(by_year)[(places - first) // year]
    since = (
        found_on
        or judged.part("change_date")
        or since_beyond(life.dates[places], values, limits, below=False)
    )
    # What broke is of the day on which it did, whatever became of it.
    broke = int(np.searchsorted(places, at))
    value, limit, note = float(values[broke]), float(limits[broke]), ""
    unit = rule.unit if rule is not gap.RULE else unit_of(rule.id, found.parts)
    if broke < len(places) - 1:
        day = judged.context.day(life.dates[at])
        texts = [shown(each, unit) for each in (value, limit, float(values[-1]))]
        note = "{} on {}, limit {}; {} now".format(texts[0], day, *texts[1:])
    return judged.plot(
        life.dates[places],
        Series(
            name="against its own record" if is_own else "since launch", values=values_of(values)
        ),
        unit=axis_of(unit),
        limits=limit_at(limit, "limit at its age", values_of(limits)),
        since=since if severity else None,
        value=value if note else None,
        note=note,
        # The sums grow without bounds.
        logarithmic=rule in (SUM, HEDGED),
    )


def _life_of(judged: Judged) -> Life | None:
    """The life that the rule judged; None where there is none."""
    lives: list[Life] = []

    def keep(case: Case, life: Life) -> Evaluation:
        lives.append(life)
        return case.lacks()

    judge_life(judged.rows, judged.context, [judged.rule], keep)
    if not lives or judged.rule is not HEDGED:
        return lives[0] if lives else None
    life, hedge = lives[0], lives[0].calibration.hedge
    if hedge is None or hedge.decay is None:
        return None
    rows, _ = hedge.hedged(life.record.rows(life.first, len(life.record)), judged.context.records)
    known = np.isfinite(rows)
    return replace(
        life,
        reference=hedge.decay,
        dates=life.dates[known],
        logs=rows[known],
        scores=hedge.decay.scores(rows[known]),
        hedged=True,
    )


def _values(life: Life, rule: Rule) -> Floats:
    """The value against the reference as of each row."""
    if rule is gap.RULE:
        return gaps(life.scores, life.reference)
    if rule is HEDGED and not life.hedged:
        return sums_since_launch(life)
    return life.values(rule)


def _own_values(life: Life, rule: Rule, places: Places) -> Floats:
    """The value against the life's own rows before, as of each of these rows."""
    found: list[float] = []
    for stop in (places + 1).tolist():
        scores = life.scores[:stop]
        rows = STATISTICS[rule.id].rated_rows(stop - OWN_ROWS, life.calibration.year)
        rows = min(_ROWS.get(rule.id, rows), rows)
        if rule.id in _ROWS:
            found.append(own_shortfall(scores, _ROWS[rule.id], stop - rows))
        else:
            found.append(decay_sum(against_own(scores, OWN_ROWS)[-rows:]))
    return np.array(found)


def _life_cusum(judged: Judged) -> Plot | None:
    """The sum of version 3, from its first row on."""
    launch = judged.context.projections_of(judged.evaluation.strategy).launch
    if launch is None:
        return None
    first = first_counted(judged.rows, launch.baseline_from)
    logs, dates = np.log1p(judged.rows.returns[first:]), judged.rows.dates[first:]
    places = thinned(len(logs)) if len(logs) else np.arange(0)
    values = np.array(
        [
            life_cusum.cusum(logs[: stop + 1], mean=launch.log_mean, sigma=launch.log_sigma)
            for stop in places.tolist()
        ]
    )
    limit = judged.evaluation.limit
    return judged.plot(
        dates[places],
        Series(name="since launch", values=values_of(values)),
        limits=judged.limit("limit at its age"),
        since=since_beyond(
            dates[places], values, math.inf if limit is None else limit, below=False
        ),
    )
