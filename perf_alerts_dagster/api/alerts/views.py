"""The sessions of an alert: those that were judged, and those between that were not."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from perf_alerts_dagster.api.alerts.schemas import Session
from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.judging.standings.model import STRIP, Cell
from perf_alerts_dagster.judging.store.overview import SessionOutcome
from perf_alerts_dagster.records.sessions import Calendar

# What a day without a session is, beside the cells.
HOLIDAY = "holiday"
_WEEK = timedelta(days=7)
_SATURDAY = 5


def with_gaps(
    judged: Sequence[SessionOutcome], alert: Alert, calendar: Calendar, *, until: date
) -> list[Session]:
    """The last sessions of an alert, oldest first, each period that was left out among them.

    A period is a day, a week or a month, as the alert runs. Of days, weekends count where one was
    judged.

    Args:
        judged: The sessions that were judged, oldest first.
        alert: Whose they are.
        calendar: Says which days are no session.
        until: The last day that would have been judged by now.
    """
    if not judged:
        return []
    found: dict[date, SessionOutcome] = {}
    for each in judged:
        found[_period(each.session, alert)] = each
    first, last = min(found), max(max(found), _period(until, alert))
    every_day = any(each.session.weekday() >= _SATURDAY for each in judged)
    days = set(calendar.sessions(first, last).tolist())
    cells = []
    for period in _periods(first, last, alert):
        outcome = found.get(period)
        if outcome is not None:
            cells.append(_judged(outcome))
        elif alert.frequency != "daily" or every_day or period in days:
            cells.append(_left_out(period, Cell.UNJUDGED))
        elif period.weekday() < _SATURDAY:
            cells.append(_left_out(period, HOLIDAY))
    return cells[-STRIP:]


def _period(day: date, alert: Alert) -> date:
    """The first day of the period that a day is in."""
    if alert.frequency == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if alert.frequency == "monthly" else day


def _periods(first: date, last: date, alert: Alert) -> Iterator[date]:
    step = {"daily": timedelta(days=1), "weekly": _WEEK, "monthly": timedelta(days=31)}
    while first <= last:
        yield first
        first = _period(first + step[alert.frequency], alert)


def _judged(outcome: SessionOutcome) -> Session:
    return Session(
        session=outcome.session,
        # Nothing was there to judge.
        cell=max(outcome.cells or [Cell.NO_DATA], key=lambda cell: cell.rank),
        judged_at=outcome.judged_at,
        provisional=outcome.provisional,
        strategies=dict(outcome.cells),
    )


def _left_out(period: date, cell: str) -> Session:
    return Session(session=period, cell=cell, judged_at=None, provisional=False, strategies={})
