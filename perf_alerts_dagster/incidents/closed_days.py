"""Days on which a strategy's number cannot change: a level does not escalate on them."""

from collections.abc import Collection
from datetime import date, timedelta

from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.judging.evaluation import Kind
from perf_alerts_dagster.records.sessions import MONTHLY, WEEKDAYS, WEEKLY, open_calendar

# A person can act on any working day, not only on the one of the next row.
_AS_WEEKDAYS = (WEEKLY, MONTHLY)


def can_change(incident: Incident, today: date, calendars: Collection[str]) -> bool:
    """Whether a new final row can change the incident's number today, or by tomorrow.

    A session that was judged changes nothing more: from its last check before a closed day to
    the next session, the number stands. Events and the system are not asked.

    Args:
        incident: The open incident.
        today: The date in the alerts' time zone.
        calendars: The names of its strategy's calendars, several for a group; every day may
            change it where there are none.
    """
    if incident.kind is not Kind.LEVEL or not incident.strategy or not calendars:
        return True
    opened = [open_calendar(WEEKDAYS if name in _AS_WEEKDAYS else name) for name in calendars]

    def is_session(day: date) -> bool:
        return any(len(calendar.sessions(day, day)) for calendar in opened)

    is_judged = incident.as_of is not None and incident.as_of >= today and not incident.provisional
    return is_session(today) and (not is_judged or is_session(today + timedelta(days=1)))
