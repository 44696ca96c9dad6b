"""The shadow: live against the P&L that the strategy's own model makes of the same dates."""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Ladder, Severity
from perf_alerts_dagster.core.wording import counted, day_words, money, percent
from perf_alerts_dagster.judging.context import Case, JudgeContext, Rating
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome, headed
from perf_alerts_dagster.judging.rule import Rule, Unit
from perf_alerts_dagster.projections.shadow_lives import SEEN_WITHIN, ShadowCalibration
from perf_alerts_dagster.records.desk import LATE
from perf_alerts_dagster.records.model import Shadow, StrategyRecord
from perf_alerts_dagster.statistics.shadow.agreement import agreement
from perf_alerts_dagster.statistics.shadow.faults import Fault, Kind, fault_of
from perf_alerts_dagster.statistics.shadow.pairs import REFERENCE, STATISTICS, Pairs, pairs_of

RULE = Rule(
    id="shadow_gap",
    title="gap to the model's own P&L",
    family=Family.PROJECTION,
    unit=Unit.PERCENT,
    plot="shadow",
    gated=True,
    weight=1.0,
    optional=True,
    of_shadow=True,
    ladder=Ladder(breach="at or below"),
    hint="compare sizes, signals, fills and costs of these dates with the model's, and make sure "
    "that the shadow is made by the code that trades.",
)
SHADOW_ROWS = "shadow rows"
_SHOWN_DAYS = 6


def judge_shadow(record: StrategyRecord, context: JudgeContext) -> Sequence[Evaluation]:
    """One evaluation of a strategy that has a shadow, by its live final rows.

    Error where the shadow's rows break a rule, no data where it has stopped (neither is critical:
    the strategy itself is judged by all other rules), insufficient data before 63 pairs.
    """
    if record.shadow is None:
        return []
    finals = context.finals(record)
    case, shadow = Case(RULE, finals, context), finals.shadow or record.shadow
    if shadow.faults:
        listed = [str(fault) for fault in shadow.faults]
        rest = f"; and {len(listed) - 1} more" if len(listed) > 1 else ""
        headline = f"{counted(len(listed), 'fault')} in the rows of its shadow"
        more: dict[str, Json] = {"faults": [*listed], **headed(headline)}
        return [_unread(case, Outcome.ERROR, f"{listed[0]}{rest}", more)]
    behind = int((finals.dates > shadow.dates[-1]).sum()) if len(shadow) else 0
    if behind > LATE:
        text = f"its shadow has no rows since {context.day(shadow.dates[-1])}"
        said = f"{text}: {counted(behind, 'session')} behind the strategy, {LATE} allowed"
        return [_unread(case, Outcome.NO_DATA, said, {"behind": behind, **headed(text)})]
    return [_paired(case, shadow)]


def _unread(case: Case, outcome: Outcome, message: str, parts: dict[str, Json]) -> Evaluation:
    return Evaluation(
        strategy=case.record.strategy,
        rule=RULE.id,
        outcome=outcome,
        severity=Severity.WARNING,
        evidence=Evidence.UNGATED,
        message=message,
        parts=parts,
    )


def _paired(case: Case, shadow: Shadow) -> Evaluation:
    pairs = pairs_of(case.record, shadow)
    late = f"{counted(pairs.late, 'row')} came or changed more than {LATE} sessions late"
    late = late if pairs.late else ""
    of = f"of model version {pairs.version}" if pairs.version else ""
    if len(pairs) < REFERENCE:
        why = "; ".join(filter(None, (of, late)))
        return case.lacks(len(pairs), REFERENCE, why, lacking=SHADOW_ROWS)
    twins = case.context.shadows.get(case.record.strategy)
    if twins is None or twins.first != pairs.dates[0].astype(object):
        why = "needs healthy twins, which are drawn of a model whose P&L varies"
        return case.lacks(len(pairs), REFERENCE, why, lacking=SHADOW_ROWS)
    return _judged(case, pairs, twins)


def _judged(case: Case, pairs: Pairs, twins: ShadowCalibration) -> Evaluation:
    strategy = case.record.strategy
    levels = case.context.levels_of(strategy, RULE.id)
    values = pairs.statistics()[:, -1]
    shares, share = twins.shares(values), float(twins.p_years(values))
    warning, critical = (level if level > 0.0 else -math.inf for level in levels)
    severity, limit = RULE.step(share, warning=warning, critical=critical)
    scales = pairs.scales
    noise, deviation = float(scales.noise[0, 0]), float(scales.deviation[0, 0])
    offset = float(scales.offset[0, 0])
    parts: dict[str, Json] = {
        "statistics": {
            name: {"value": float(value), "share": float(each)}
            for name, value, each in zip(STATISTICS, values, shares, strict=True)
        },
        "noise": noise / deviation,
        "seen": {
            fault: {str(rows): each for rows, each in zip(SEEN_WITHIN, seen, strict=True)}
            for fault, seen in twins.seen_at(levels[0]).items()
        },
        "reference_rows": twins.rows,
        "undated_rows": pairs.undated,
        "late_rows": pairs.late,
        "model_version": pairs.version,
        "since": str(pairs.dates[0]),
        "mean_is_learnt": pairs.learns,
        "learnt_mean": offset,
        **agreement(pairs, periods_per_year=case.context.periods_of(strategy)),
    }
    text = f"differs from its model by {noise / deviation:.2g} of the model's standard deviation"
    headline = ""
    if severity is not None:
        fault = fault_of(pairs)
        headline, text, more = _message(case.record, pairs, fault)
        parts |= more
    if offset:
        text += f"; {1e4 * offset:+.2g} bp a day from the first rows on count as normal, state "
        text += "expected_cost to judge them"
    return case.judged(
        share,
        (severity, limit),
        text,
        headline=headline,
        observations=len(pairs),
        required=REFERENCE,
        rating=Rating(p_year=share, false_alarm_rate=levels[0]),
        parts=parts,
    )


def _message(
    record: StrategyRecord, pairs: Pairs, fault: Fault
) -> tuple[str, str, dict[str, Json]]:
    """The fault with its onset; with its numbers and what live lost to its model since; parts."""
    first = pairs.dates[fault.first]
    days = [pairs.dates[day] for day in fault.days]
    since = f"since {_dated([first], pairs.dates[-1])}"
    lost = pairs.differences[fault.first :]
    number = fault.number or 0.0
    names = {
        Kind.DRIFT: f"drift {1e4 * number:+.2g} bp a day {since}",
        Kind.SIZE: f"size {number:.2f} x {since}",
        Kind.LAG: f"lag of one day {since}",
        Kind.SIGN: f"sign flipped {since}",
        Kind.PARTLY_OPPOSITE: f"partly opposite {since}, as with the wrong sign on about "
        f"{100 * number:.0f} % of the model's P&L",
        Kind.MISSED: f"missed {_dated(days, pairs.dates[-1])}",
        Kind.TRACKING: f"tracking error {number:.2g} x {since}",
    }
    amount = float(lost.sum())
    shown = percent(amount, signed=True)
    parts: dict[str, Json] = {
        "fault": fault.kind.value,
        "fault_since": str(first),
        "fault_number": fault.number,
        "fault_days": [str(day) for day in days],
        "difference_since": amount,
    }
    if record.capital is not None:
        pnl = float((lost * record.capital[pairs.places[fault.first :]]).sum())
        shown = money(pnl, record.currency)
        parts["pnl_since"] = pnl
    name = names[fault.kind]
    headline = f"{name.partition(', as')[0]} against its model"
    return headline, f"{name}: {shown} against its model so far", parts


def _dated(days: Sequence[np.datetime64], newest: np.datetime64) -> str:
    """`28 Oct, 4, 9 and 10 Nov`, with the year where it is not that of the newest row."""
    shown: list[str] = []
    later = len(days) - _SHOWN_DAYS
    for _, some in groupby(days[:_SHOWN_DAYS], key=lambda day: day.astype("datetime64[M]")):
        *earlier, last = (day.astype(object) for day in some)
        shown += [str(day.day) for day in earlier]
        shown.append(day_words(last, beside=newest.astype(object), weekday=False))
    shown += [f"{later} more"] if later > 0 else []
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
