"""What missing rows take away from a judgement: its good news, never a breach."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.wording import SHOWN, first_few
from perf_alerts_dagster.judging.context import JudgeContext
from perf_alerts_dagster.judging.evaluation import ABSENT, LACKS, Evaluation, Outcome
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.judging.rules.exceedances import JOINT
from perf_alerts_dagster.records.members import NEWEST, Absence, Composition, Group, without_rows
from perf_alerts_dagster.records.model import Dates, StrategyRecord
from perf_alerts_dagster.records.reading import Reading

# A group is judged on at least this share of its capital.
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """Missing rows: the outcome in place of `ok`, and their names, at least one.

    `is_earlier`: the newest session has its row, so that a rule about that row keeps its outcome.
    """

    outcome: Outcome
    text: str
    missing: Sequence[str]
    is_earlier: bool
    parts: Mapping[str, Json] = field(default_factory=dict)


def without_good_news(
    evaluations: Sequence[Evaluation],
    reading: Reading,
    context: JudgeContext,
    singles: Mapping[str, StrategyRecord],
) -> list[Evaluation]:
    """The evaluations, without an `ok` that rests on missing, unreadable or vanished rows.

    A strategy without the row of its newest session is `no_data`; without another one of its
    newest 20, `partial`. A group with missing members is `partial` where the others hold half of
    its capital, else `no_data`. Breaches stay. The message names what is missing, as `missing` of
    the parts does, `lacks` in words and `absent` by a group's members; `membership` of a group's
    parts is a digest of its members, `live_since` the first live day of what a rule over the whole
    life sees. While a member's session is open, its group is provisional.

    Args:
        evaluations: Those of strategies and groups, and the joint exceedances.
        reading: The records.
        context: The date, and the newest final session.
        singles: The judged strategies that are no groups, up to the as-of date.
    """
    due = context.last_final
    if due is None:
        return list(evaluations)

    def due_sessions(name: str) -> Dates:
        return context.once(("due", name), lambda: reading.due_sessions(name), of_session=False)

    absent = {
        name: without_rows(record.dates, due_sessions(name), due)
        for name, record in singles.items()
        # After a wipe-out nothing is missed.
        if record.returns[-1] > -1.0
    }
    gaps = {name: _of_strategy(*days, context) for name, days in absent.items()}
    lives = {**singles, **{name: group.record for name, group in reading.groups.items()}}
    since = {name: str(one.dates[one.live][0]) for name, one in lives.items() if one.live.any()}
    parts: dict[str, dict[str, Json]] = {}
    for name, group in reading.groups.items():
        composition = group.at(context.as_of, due)
        gaps[name] = _of_group(composition, context)
        parts[name] = {
            "group": group.base,
            "currency": group.record.currency,
            "membership": composition.membership,
        }
        # Sessions before the newest have closed.
        if context.as_of == reading.as_of and (waiting := _waiting(reading, group, reading.as_of)):
            parts[name]["not_closed"] = first_few(waiting)
    joint = _of_group(_desk(reading, singles, absent), context)
    return [
        _tempered(one, joint, {}, None)
        if one.rule == JOINT.id
        else _tempered(
            one, gaps.get(one.strategy), parts.get(one.strategy, {}), since.get(one.strategy)
        )
        for one in evaluations
    ]


def _waiting(reading: Reading, group: Group, as_of: date) -> list[str]:
    """The members with a session up to `as_of` that has no row and has not closed yet."""
    return [
        member.name
        for member in group.members
        for day in reading.own_sessions(member.name)[len(member.sessions) :][:1]
        if day <= np.datetime64(min(as_of, member.until or as_of), "D")
    ]


def _tempered(
    evaluation: Evaluation, gap: _Gap | None, group: Mapping[str, Json], since: str | None
) -> Evaluation:
    is_whole = since and BY_ID[evaluation.rule].whole_life
    if gap is None and not group and not is_whole:
        return evaluation
    parts = {**evaluation.parts, **group}
    if is_whole:
        parts["live_since"] = since
    if "not_closed" in group:
        text = f"{evaluation.message}; not closed yet: {group['not_closed']}"
        evaluation = replace(evaluation, provisional=True, message=text)
    is_measured = evaluation.outcome in (Outcome.OK, Outcome.BREACH)
    if gap is None or not is_measured or (gap.is_earlier and BY_ID[evaluation.rule].newest_row):
        return replace(evaluation, parts=parts)
    return replace(
        evaluation,
        outcome=gap.outcome if evaluation.outcome is Outcome.OK else evaluation.outcome,
        message=f"{evaluation.message}; {gap.text}",
        parts={**gap.parts, **parts, "missing": list(gap.missing), LACKS: gap.text},
    )


def _of_strategy(gaps: Dates, late: Dates, context: JudgeContext) -> _Gap | None:
    """What one strategy lacks; None where it lacks nothing."""
    days = [*gaps, *late[:SHOWN]]
    if not days:
        return None
    return _Gap(
        outcome=Outcome.NO_DATA if len(late) else Outcome.PARTIAL,
        text=f"no row of {first_few([context.day(day) for day in days])}",
        missing=[str(day) for day in days],
        is_earlier=not len(late),
    )


def _of_group(found: Composition, context: JudgeContext) -> _Gap | None:
    """What a group lacks; None where it lacks nothing."""
    missing, said = (_missing(found, day) for day in (str, context.day))
    gaps, said_gaps = (_gaps(found, day) for day in (str, context.day))
    if not (missing or gaps):
        return None
    if not missing:
        text = f"no row of {first_few(said_gaps)}"
        return _Gap(outcome=Outcome.PARTIAL, text=text, missing=gaps, is_earlier=True)
    present = len(found.capital)
    members = present + len(missing)
    share = f", {math.floor(found.share * 100)} % of capital" if found.is_by_capital else ""
    return _Gap(
        outcome=Outcome.PARTIAL if found.share >= _HALF else Outcome.NO_DATA,
        text=f"{present} of {members}{share}; missing: {first_few(said)}",
        missing=missing,
        is_earlier=False,
        parts={
            "members": members,
            "present": present,
            "capital_share": found.share,
            ABSENT: [*sorted(found.missing)],
        },
    )


def _missing(found: Composition, day: Callable[[date], str]) -> list[str]:
    return [
        f"{name} since {day(absence.since)}{absence.why}" if absence.since else name
        for name, absence in sorted(found.missing.items())
    ]


def _gaps(found: Composition, day: Callable[[date], str]) -> list[str]:
    return [f"{name} on {day(each)}" for name, days in sorted(found.gaps.items()) for each in days]


def _desk(
    reading: Reading,
    singles: Mapping[str, StrategyRecord],
    absent: Mapping[str, tuple[Dates, Dates]],
) -> Composition:
    """All strategies as one group, in which each counts the same."""
    late = {name: days for name, (_, days) in absent.items() if len(days)}
    missing = dict.fromkeys((*reading.records.faults, *reading.vanished), Absence(None, None))
    for name, days in late.items():
        if len(days) <= NEWEST:
            missing[name] = Absence(days[0].astype(object), None)
    return Composition(
        capital={name: 1.0 for name in singles if name not in late},
        missing=missing,
        left={},
        gaps={
            name: tuple(days.astype(object).tolist())
            for name, (days, _) in absent.items()
            if len(days) and name not in late
        },
    )
