"""Fold a judgement into the standings that were kept before it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome
from perf_alerts_dagster.judging.standings.model import (
    STRIP,
    AlertStanding,
    Cell,
    Member,
    RuleStanding,
    Standing,
    cell_of,
)
from perf_alerts_dagster.judging.summary import Summary, by_strategy, summaries

_UNJUDGED = Cell.UNJUDGED.code


def fold(
    kept: Mapping[str, Standing], judgement: Judgement, members: Mapping[str, Member]
) -> dict[str, Standing]:
    """The standings of a judgement's strategies, with it.

    A strategy that is no longer judged has none of the daily check: that one's strategies are all
    that there are.

    Args:
        kept: The standings before, by strategy.
        judgement: Of one alert; one that is only recorded changes nothing.
        members: Who the strategies are, and their figures. A strategy that is not in it keeps
            what is known of it.
    """
    if judgement.recorded_only:
        return dict(kept)
    found = by_strategy(judgement)
    said = summaries(judgement)
    is_whole = judgement.alert == DAILY_PNL_CHECK.name and judgement.as_of >= max(
        (each.session for each in kept.values()), default=date.min
    )
    rest = {} if is_whole else {name: one for name, one in kept.items() if name not in found}
    return rest | {
        name: _folded(kept.get(name), judgement, evaluations, said[name], members.get(name))
        for name, evaluations in found.items()
    }


def _folded(
    before: Standing | None,
    judgement: Judgement,
    evaluations: Sequence[Evaluation],
    summary: Summary,
    member: Member | None,
) -> Standing:
    session, alert = judgement.as_of, judgement.alert
    known = before or Standing(
        strategy=evaluations[0].strategy, session=session, judged_at=judgement.judged_at
    )
    sessions = tuple(sorted({*known.sessions, session}))[-STRIP:]
    earlier = known.alerts.get(alert)
    is_newest = earlier is None or session >= earlier.as_of
    aligned = _aligner(known.sessions, sessions)
    cells = [cell_of(each) for each in evaluations]
    by_rule: dict[str, list[tuple[Cell, Evaluation]]] = {}
    for pair in zip(cells, evaluations, strict=True):
        by_rule.setdefault(pair[1].rule, []).append(pair)
    rules: dict[str, RuleStanding] = {}
    for rule, one in known.rules.items():
        # A rule that does not apply any more has no standing.
        if rule in by_rule or one.alert != alert or not is_newest:
            rules[rule] = replace(one, strip=aligned(one.strip))
    for rule, group in by_rule.items():
        # The worst of its evaluations, the rarest of equals.
        cell, worst = min(
            group,
            key=lambda pair: (-pair[0].rank, 1.0 if pair[1].p_year is None else pair[1].p_year),
        )
        earlier_rule = rules.get(rule)
        strip = _marked(earlier_rule.strip if earlier_rule else "", sessions, session, cell)
        if earlier_rule and session < earlier_rule.as_of:
            rules[rule] = replace(earlier_rule, strip=strip)
        else:
            rules[rule] = RuleStanding(
                cell=cell,
                alert=alert,
                as_of=_day_of(worst, judgement, sessions),
                value=worst.value,
                limit=worst.limit,
                p_year=worst.p_year,
                notifies=bool(worst.notifies),
                strip=strip,
            )
    alerts = {name: replace(one, strip=aligned(one.strip)) for name, one in known.alerts.items()}
    cell = _cell(judgement, summary, cells)
    strip = _marked(alerts[alert].strip if earlier else "", sessions, session, cell)
    alerts[alert] = (
        AlertStanding(
            cell=cell,
            as_of=session,
            judged_at=judgement.judged_at,
            note=summary.note if cell.value == summary.outcome.value else "",
            strip=strip,
        )
        if is_newest
        else replace(alerts[alert], strip=strip)
    )
    is_later = all(session >= each.as_of for each in known.alerts.values())
    # Before the daily check has judged it, what another alert says.
    checked = alerts.get(DAILY_PNL_CHECK.name)
    says = is_newest if alert == DAILY_PNL_CHECK.name else checked is None and is_later
    if member is not None and member.figures is None:
        member = replace(member, figures=known.figures)
    return Standing(
        strategy=known.strategy,
        session=checked.as_of if checked else max(known.session, session),
        judged_at=checked.judged_at if checked else max(known.judged_at, judgement.judged_at),
        provisional=judgement.provisional if says else known.provisional,
        member=member if member is not None and is_later else known.member,
        rules=rules,
        alerts=alerts,
        sessions=sessions,
    )


def _day_of(evaluation: Evaluation, judgement: Judgement, sessions: Sequence[date]) -> date:
    """The session that an evaluation is of: most rules leave out the rows of an open one."""
    if evaluation.provisional or not judgement.provisional:
        return judgement.as_of
    return max((each for each in sessions if each < judgement.as_of), default=judgement.as_of)


def _aligner(before: Sequence[date], sessions: Sequence[date]) -> Callable[[str], str]:
    """What aligns a strip over the sessions before with others, of which the newest are new."""
    if before == sessions:
        return str
    kept = len(sessions) - 1
    if sessions[:-1] == before[len(before) - kept :]:
        return lambda strip: strip[len(strip) - kept :] + _UNJUDGED
    places = {day: place for place, day in enumerate(before)}
    wanted = [places.get(day) for day in sessions]

    def aligned(strip: str) -> str:
        return "".join(_UNJUDGED if place is None else strip[place] for place in wanted)

    return aligned


def _marked(strip: str, sessions: Sequence[date], session: date, cell: Cell) -> str:
    """A strip over the sessions, empty before the first one, with what was found on one of them."""
    strip = strip or _UNJUDGED * len(sessions)
    if session not in sessions:
        # Judged again, and older than what is shown.
        return strip
    place = sessions.index(session)
    return strip[:place] + cell.code + strip[place + 1 :]


def cells_of(judgement: Judgement) -> dict[str, Cell]:
    """What an alert found of each strategy, in one word."""
    said = summaries(judgement)
    return {
        name: _cell(judgement, said[name], [cell_of(each) for each in evaluations])
        for name, evaluations in by_strategy(judgement).items()
    }


def _cell(judgement: Judgement, summary: Summary, cells: Sequence[Cell]) -> Cell:
    """An alert's cell: the worst of what has enough data, and else that nothing has.

    Without a breach the daily check's is the summary, since it has the rules that count.
    """
    if summary.outcome is not Outcome.BREACH and judgement.alert == DAILY_PNL_CHECK.name:
        return Cell(summary.outcome.value)
    known = [each for each in cells if each is not Cell.INSUFFICIENT_DATA]
    return max(known, key=lambda each: each.rank, default=Cell.INSUFFICIENT_DATA)
