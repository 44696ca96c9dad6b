"""Gap since launch: live earns less than its backtest, which is one message and no decay."""

import math
from collections.abc import Sequence
from shlex import quote
from typing import NamedTuple

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import counted, percent
from perf_alerts_dagster.judging.context import Case, JudgeContext, Rating
from perf_alerts_dagster.judging.evaluation import Evaluation, headed
from perf_alerts_dagster.judging.rule import Rule, Unit
from perf_alerts_dagster.judging.rules.decay import (
    BACKTEST,
    LONG,
    OWN_ROWS,
    SHORT,
    SUM,
    Life,
    by_budget,
    judge_life,
)
from perf_alerts_dagster.judging.rules.hedged import RULE as HEDGED
from perf_alerts_dagster.judging.rules.hedged import sums_since_launch
from perf_alerts_dagster.judging.rules.interval import haircut_words
from perf_alerts_dagster.projections.projection import propose
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.decay import gaps, looks

RULE = by_budget(
    id="gap_since_launch",
    title="gap since launch",
    # Value and limit are those of the rule which found it, and the part `unit` says theirs.
    unit=Unit.NUMBER,
    weight=0.25,
    optional=True,
    hint="compare what went live with its backtest: costs, fills, capacity, the years that it was "
    "fitted to; then set a new baseline or cut it.",
)


class _Found(NamedTuple):
    """The position of the row as of which a rule first found the gap, and what it found."""

    row: int
    rule: Rule
    severity: Severity
    p_year: float
    value: float
    limit: float


def judge_gap(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """The mean shortfall since launch, after a quarter, half and every whole year.

    A breach from the first row on at which that, or a rule of decay against the backtest, is beyond
    its level. It stays one, with the figures of that row, or those of the first row that is beyond
    the level of a critical where that is among the first 252; until a later yearly look finds the
    mean back at the reference, or a baseline begins a new life. Nothing for a strategy without a
    backtest: its reference are live rows.
    """
    return [] if record.live.all() else judge_life(record, context, [RULE], _judged)


def _judged(case: Case, life: Life) -> Evaluation:
    found, values = _found(life), gaps(life.scores, life.reference)
    rows, year = len(life.logs), life.calibration.year
    looked = looks(rows, year)
    ended = None if found is None else _end(found.row, values, year)
    returned, expected = (
        math.expm1(year * each) for each in (float(life.logs.mean()), life.reference.mean)
    )
    since = "the baseline" if life.launch.baseline_from else "launch"
    text = (
        f"returned {percent(returned, signed=True)} a year in {counted(rows, 'session')} since "
        f"{since} where {percent(expected, signed=True)} was expected"
        f"{haircut_words(case.context, life.launch)}"
    )
    parts: dict[str, Json] = {
        "rows": rows,
        "expected": expected,
        "compared_with": BACKTEST,
        "unit": Unit.SIGMA.value,
        **life.launch.parts,
    }
    if found is not None:
        session = str(life.dates[found.row])
        parts |= {"found_by": found.rule.id, "found_on": session}
    if found is None or ended is not None:
        if found is not None and ended is not None:
            day = case.context.day(life.dates[found.row])
            text += f"; the gap found on {day} was closed after {counted(ended + 1, 'session')}"
        elif not looked.any():
            text += f"; first looked at after {counted(max(year // 4, 1), 'session')}"
        newest = newest_look(rows, year)
        name = STATISTICS[RULE.id].name_after(newest + 1, year)
        share = life.calibration.p_year(name, values[newest]) if looked.any() else 1.0
        ok = (None, life.limits(RULE, newest + 1)[0])
        return _evaluation(case, life, values[newest], ok, text, parts, share, RULE)
    haircut, error = _proposed(case.record)
    parts |= {"proposed_haircut": haircut, "proposed_haircut_error": error}
    found_on = case.context.day(life.dates[found.row])
    text += f"; found on {found_on}, after {counted(found.row + 1, 'session')}"
    if haircut is None:
        loses = returned < 0.0
        text += "; it loses money, which no haircut explains" if loses else "; no haircut fits"
    else:
        name, day = quote(case.record.strategy), case.record.dates[-1]
        text += (
            f"; a haircut of {100 * haircut:.0f} % (+- {100 * (error or 0.0):.0f} %) would fit: "
            f"perf-alerts strategies rebaseline {name} --from {day} --haircut {haircut} "
            '--reason "gap since launch"'
        )
    first = case.context.day(life.dates[0], weekday=False)
    headline = f"earns {percent(expected - returned)} a year below its backtest since {first}"
    if expected <= returned:
        headline = f"was below its backtest on {found_on}"
    unit = Unit.SIGMA if found.rule is RULE else found.rule.unit
    more = {**parts, "unit": unit.value, **headed(headline)}
    step = (found.severity, found.limit)
    return _evaluation(case, life, found.value, step, text, more, found.p_year, found.rule)


def newest_look(rows: int, year: int) -> int:
    """The row, of so many, as of which the gap was looked at last; the newest before any look."""
    looked = np.flatnonzero(looks(rows, year))
    return int(looked[-1]) if len(looked) else rows - 1


def _evaluation(
    case: Case,
    life: Life,
    value: float,
    step: tuple[Severity | None, float | None],
    text: str,
    parts: dict[str, Json],
    p_year: float,
    rule: Rule,
) -> Evaluation:
    strategy, context = case.record.strategy, case.context
    return case.judged(
        float(value),
        step,
        text,
        observations=len(life.logs),
        rating=Rating(p_year=p_year, false_alarm_rate=context.levels_of(strategy, RULE.id)[0]),
        levels=context.levels_of(strategy, rule.id),
        parts=parts,
    )


def _found(life: Life) -> _Found | None:
    """What is found first; once the first 252 rows hold a critical, the first of those."""
    year, rows = life.calibration.year, len(life.scores)
    own = np.where(looks(rows, year), gaps(life.scores, life.reference), -np.inf)
    values = [(rule, life.values(rule)) for rule in (SHORT, LONG, SUM)]
    values += [(RULE, own), (HEDGED, sums_since_launch(life))]
    warnings: list[_Found] = []
    criticals: list[_Found] = []
    for rule, bad in values:
        statistic = STATISTICS[rule.id]
        ages = np.minimum(np.arange(rows) // year, statistic.years - 1)
        limits = np.array(
            [life.limits(rule, place * year + 1) for place in range(statistic.years)]
        )[ages]
        is_beyond = bad[:, np.newaxis] >= limits
        for beyond, found in zip(is_beyond.T, (warnings, criticals), strict=True):
            if beyond.any():
                row = int(beyond.argmax())
                severity = Severity.CRITICAL if is_beyond[row, 1] else Severity.WARNING
                name = statistic.name_after(row + 1, year)
                value = float(bad[row])
                limit = float(limits[row][int(severity is Severity.CRITICAL)])
                share = life.calibration.p_year(name, value)
                found.append(_Found(row, rule, severity, share, value, limit))
    first, critical = (min(each, key=_order, default=None) for each in (warnings, criticals))
    return critical if critical is not None and critical.row < OWN_ROWS else first


def _order(found: _Found) -> tuple[int, int, float]:
    """Of one row the most severe comes first, and then the rarest."""
    return found.row, -found.severity.rank, found.p_year


def _end(row: int, values: Floats, year: int) -> int | None:
    """The row of the first later yearly look at which the mean is back; None where none is."""
    yearly = np.arange(len(values)) % year == year - 1
    back = np.flatnonzero(yearly & (values <= 0.0))
    later = back[back > row]
    return int(later[0]) if len(later) else None


def _proposed(record: StrategyRecord) -> tuple[float | None, float | None]:
    """The haircut that fits the live rows, and its standard error, as `rebaseline` proposes it."""
    proposal = propose(record, record.dates[-1].astype(object))
    if proposal is None or proposal.live_mean < 0.0:
        return None, None
    return proposal.haircut, proposal.standard_error
