"""Decay: the shortfall of the last 126 and 252 live rows, and of all since live began.

A strategy that went live below its backtest has not changed since: what the rules find against the
backtest is the gap since launch, and decay is what they find against the strategy's own live rows.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder, Severity
from perf_alerts_dagster.core.wording import counted, money, percent
from perf_alerts_dagster.judging.context import Case, JudgeContext
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rule import Rule, Unit
from perf_alerts_dagster.judging.rules.interval import haircut_words, no_projection
from perf_alerts_dagster.projections.calibration import Calibration, Pair
from perf_alerts_dagster.projections.projection import InForce, first_counted, whole_reference
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Dates, Floats, StrategyRecord
from perf_alerts_dagster.statistics.change import change_of
from perf_alerts_dagster.statistics.decay import (
    DecayReference,
    decay_sum,
    decay_sums,
    own_shortfall,
    shortfall,
    shortfalls,
)
from perf_alerts_dagster.statistics.hedge import against_own

by_budget = partial(
    Rule,
    family=Family.PROJECTION,
    plot="shortfall",
    unit=Unit.SIGMA,
    loss="rows",
    whole_life=True,
    gated=True,
    calibrated=True,
    ladder=Ladder(breach="at or above"),
)
SHORT = by_budget(
    id="mean_shortfall_126",
    title="mean shortfall of 126 sessions",
    weight=0.5,
    hint="halve it until the cause is known: crowding, costs, or a signal that is gone.",
)
LONG = by_budget(
    id="mean_shortfall_252",
    title="mean shortfall of 252 sessions",
    weight=1.0,
    hint="cut it, or set a new baseline where what it earns now is enough.",
)
SUM = by_budget(
    id="decay_cusum",
    title="decay since live began",
    unit=Unit.NUMBER,
    loss="change",
    hint="find out what changed on the day that is named; then cut it or set a new baseline.",
    weight=0.5,
)
RULES = (SHORT, LONG, SUM)
_ROWS = {SHORT.id: 126, LONG.id: 252}
# Live rows of which the mean is known well enough to compare later ones with.
OWN_ROWS = 252
BACKTEST, OWN = "backtest", "own record"
_NOT_CALIBRATED = "its projection has no calibration yet"
# Rows of which the yearly rate says more than their sum.
_QUARTER = 63


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Life:
    """The live final rows that count against the launch projection, as one life of the strategy.

    `first` is the position of the first of them in `record`; `dates`, `logs` and `scores` are
    theirs (n). Of a `hedged` one `logs` are simple returns after hedging, which add up.
    """

    record: StrategyRecord
    context: JudgeContext
    launch: InForce
    calibration: Calibration
    reference: DecayReference
    first: int
    dates: Dates
    logs: Floats
    scores: Floats
    hedged: bool = False

    @property
    def has_backtest(self) -> bool:
        """Whether the reference is a backtest, and not the first live rows."""
        return not bool(self.record.live.all())

    def values(self, rule: Rule) -> Floats:
        """A rule's value against the reference as of each row (n)."""
        key = ("decay", self.record.strategy, rule.id)
        return self.context.once(key, lambda: self._values(rule))

    def _values(self, rule: Rule) -> Floats:
        year, years, rows = self.calibration.year, STATISTICS[rule.id].years, len(self.scores)
        if rule.id in _ROWS:
            first = np.maximum(np.arange(rows) // year + 1 - years, 0) * year
            return shortfalls(self.scores, _ROWS[rule.id], self.reference, first)
        return sums_of_life(self.scores, years, year)

    def returned(self, total: float) -> float:
        """A sum of `logs` as a return."""
        return total if self.hedged else math.expm1(total)

    def limits(self, rule: Rule, age: int) -> Pair:
        """The values of a warning and of a critical of so many rows."""
        name = STATISTICS[rule.id].name_after(age, self.calibration.year)
        warning, critical = (
            math.inf if level <= 0.0 else self.calibration.badness_at(name, level)
            for level in self.context.levels_of(self.record.strategy, rule.id)
        )
        return warning, max(critical, warning)


def sums_of_life(scores: Floats, years: int, year: int) -> Floats:
    """The sums as of each row (n), of a long life over its last years, as the lives that rate it.

    `years` they are rated for, of `year` rows.
    """
    found = [decay_sums(scores[: years * year])]
    for last in range(years * year, len(scores), year):
        begin = last + year - years * year
        found.append(decay_sums(scores[begin : last + year])[last - begin :])
    return np.concatenate(found)


def judge_life(
    record: StrategyRecord,
    context: JudgeContext,
    rules: Sequence[Rule],
    judged: Callable[[Case, Life], Evaluation],
) -> list[Evaluation]:
    """Judge a strategy's present life; insufficient data without a projection or calibration.

    With a baseline the rows from its first day on count. Without a backtest the reference is the
    first 756 live rows, which are no evidence against themselves.
    """
    finals = context.finals(record)
    cases = [Case(rule, finals, context) for rule in rules]
    calibration = context.calibrations.get(record.strategy)
    launch = context.projections_of(record.strategy).launch
    if launch is None:
        return [no_projection(case) for case in cases]
    first = first_counted(finals, launch.baseline_from)
    live = finals.returns[first:]
    if not len(live):
        return [case.lacks() for case in cases]
    if calibration is None or calibration.decay is None:
        return [case.lacks(len(live), why=_NOT_CALIBRATED) for case in cases]
    logs = np.log1p(live)
    life = Life(
        record=finals,
        context=context,
        launch=launch,
        calibration=calibration,
        reference=calibration.decay,
        first=first,
        dates=finals.dates[first:],
        logs=logs,
        scores=calibration.decay.scores(logs),
    )
    return [judged(case, life) for case in cases]


def judge_decay(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """The three rules of decay over live final rows, of a long life over its last years.

    The severity is from the budget: a warning where few enough healthy lives of its age are as
    bad. From row 253 of a life on the sums compare with its rows before, as those of a life that
    began there. What is found against a backtest is shown only: `gap_since_launch` notifies it.
    """
    return judge_life(record, context, RULES, judged_life)


def judged_life(case: Case, life: Life) -> Evaluation:
    """A rule's evaluation of a life, against its reference or from row 253 on its own rows."""
    rule, year, age = case.rule, life.calibration.year, len(life.logs)
    goes_on = _goes_on(case, life)
    is_own = life.has_backtest and rule is not SUM and age > OWN_ROWS and not goes_on
    if is_own:
        age -= OWN_ROWS
    rows = STATISTICS[rule.id].rated_rows(age, year)
    rows = min(_ROWS.get(rule.id, rows), rows)
    before = len(life.logs) - rows
    if is_own:
        mean = float(life.logs[:before].mean())
        if rule.id in _ROWS:
            value = own_shortfall(life.scores, _ROWS[rule.id], before)
        else:
            value = decay_sum(against_own(life.scores, OWN_ROWS)[-rows:])
    else:
        value, mean = float(life.values(rule)[-1]), life.reference.mean
    warning, critical = life.limits(rule, age)
    severity, limit = rule.step(value, warning=warning, critical=critical)
    returned, expected = (
        life.returned(each) for each in (float(life.logs[before:].sum()), rows * mean)
    )
    text = (
        f"returned {percent(returned, signed=True)} in the last {counted(rows, 'session')} where "
        f"{percent(expected, signed=True)} was expected"
        f"{' by its own record' if is_own else haircut_words(case.context, life.launch)}"
    )
    headline = ""
    is_of_backtest = life.has_backtest and not is_own
    parts: dict[str, Json] = {
        "rows": rows,
        "expected": expected,
        "compared_with": BACKTEST if is_of_backtest else OWN,
        **life.launch.parts,
    }
    if severity is not None:
        changed = _change(life, before, is_own=is_own)
        found = _expected_haircut if is_own else _silent_haircut
        silent = found(case, life, before, warning)
        parts |= {**changed, "silent_haircut": silent}
        text += _said(life, changed, silent, is_own=is_own)
        headline = _headline(life, changed, mean, BACKTEST if is_of_backtest else OWN)
    if goes_on:
        parts["goes_on"] = True
    elif severity is not None and is_of_backtest:
        text += "; notified as the gap since launch"
    evaluation = case.judged(
        value,
        (severity, limit),
        text,
        headline=headline,
        observations=rows,
        rating=case.context.rating(case.record.strategy, rule, value, live_rows=age),
        parts=parts,
    )
    if severity is None or not is_of_backtest or goes_on:
        return evaluation
    return replace(evaluation, parts={**evaluation.parts, "told_as": Severity.INFO.value})


def _goes_on(case: Case, life: Life) -> bool:
    """Whether an incident that the version before opened in this life is judged as it was then."""
    since = case.context.against_backtest.get((case.record.strategy, case.rule.id))
    begun = life.launch.baseline_from
    return since is not None and (begun is None or since >= begun)


def _change(life: Life, before: int, *, is_own: bool) -> dict[str, Any]:
    """When the fall began among the rows from `before` on, and what was returned since."""
    scores, rows = life.scores[before:], life.reference.rows
    if is_own:
        scores, rows = scores - float(life.scores[:before].mean()), before
    found = change_of(scores, rows)
    dates = life.dates[before:]
    parts: dict[str, Any] = {
        "change_date": str(dates[found.at]),
        "change_from": str(dates[found.first]),
        "change_until": str(dates[found.last]),
        "change_reaches_start": found.first == 0,
        "loss_since": life.returned(float(life.logs[before + found.at :].sum())),
    }
    if life.record.pnl is not None and not life.hedged:
        lost = life.record.pnl[life.first + before + found.at :]
        parts["loss_since_currency"] = float(lost.sum())
    return parts


def _said(life: Life, change: dict[str, Any], silent: float | None, *, is_own: bool) -> str:
    at, first, last = (
        life.context.day(np.datetime64(change[f"change_{name}"]), weekday=False)
        for name in ("date", "from", "until")
    )
    is_start, is_first = change["change_reaches_start"], at == first
    start = ", the first of these sessions" if is_start else ""
    comma = "," if is_start else ""
    ranged = (
        f"{start} (95 %: to {last})" if is_first else f" (95 %: {first}{start}{comma} to {last})"
    )
    # Where it fell from the first session on, the sentence has the return already.
    lost = [] if is_start and is_first else [percent(change["loss_since"], signed=True)]
    if (amount := change.get("loss_since_currency")) is not None:
        lost.append(money(amount, life.record.currency))
    text = f"; it began to fall about {at}{ranged}"
    if lost:
        text += f" and returned {' or '.join(lost)} since{' after hedging' * life.hedged}"
    level = "no haircut" if silent is None else f"a haircut of about {100 * silent:.0f} %"
    if is_own:
        return f"{text}; {level} would expect the level of these sessions"
    if silent is None:
        return f"{text}; {level} would silence it"
    return f"{text}; silent from {level} on"


def _headline(life: Life, change: dict[str, Any], mean: float, compared: str) -> str:
    """What is lost a year since the fall began; what was returned, where that says nothing yet."""
    at = np.datetime64(change["change_date"])
    logs, since = life.logs[life.dates >= at], life.context.day(at, weekday=False)
    hedged = "hedged, " if life.hedged else ""
    if len(logs) >= _QUARTER and (less := life.calibration.year * (mean - float(logs.mean()))) > 0:
        below = "less" if life.hedged else f"below its {compared}"
        return f"{hedged}earns {percent(less)} a year {below} since {since}"
    returned, usual = (
        percent(each, signed=True)
        for each in (change["loss_since"], life.returned(len(logs) * mean))
    )
    return f"{hedged}{returned} since {since}; its {compared}: {usual}"


def _mean_of_reference(case: Case, life: Life) -> float:
    # A hedged row has the mean of the strategy's own.
    rows = whole_reference(case.record)
    return max(float((rows if life.hedged else np.log1p(rows)).mean()), 0.0)


def _expected_haircut(case: Case, life: Life, before: int, _: float) -> float | None:
    """The haircut at which the reference has the mean of the rows from `before` on.

    A comparison with the own record is the same for whatever haircut.
    """
    mean, level = _mean_of_reference(case, life), float(life.logs[before:].mean())
    return None if level < 0.0 or mean <= 0.0 else round(max(1.0 - level / mean, 0.0), 2)


def _silent_haircut(case: Case, life: Life, before: int, warning: float) -> float | None:
    """The least haircut, a whole per cent, at which the rule does not breach; None without one.

    The healthy lives are lowered with the reference, so that the limit stays about as it is.
    """
    mean, rows = _mean_of_reference(case, life), _ROWS.get(case.rule.id)
    logs = life.logs[before:]

    def is_silent(per_cent: int) -> bool:
        lowered = life.reference.mean + (life.launch.haircut - per_cent / 100.0) * mean
        reference = replace(life.reference, mean=lowered)
        scores = reference.scores(logs)
        value = decay_sum(scores) if rows is None else shortfall(scores, rows, reference)
        return value < warning

    found = bisect_left(range(101), True, key=is_silent)
    return None if found > 100 else found / 100.0
