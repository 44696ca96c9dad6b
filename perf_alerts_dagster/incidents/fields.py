"""What people see of an incident, field by field: the page and the command line show this table.

Programs get the fields of `api/incidents/schemas.py`, which take their values from the incident's
attributes of the same names. A field that both show is one line there and one here.
"""

from collections.abc import Callable
from datetime import datetime

from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.incidents.model import Acknowledgement, Incident, ResolutionRecord

# A person's verdicts in words.
VERDICTS = {
    "true": "a true alarm",
    "false": "a false alarm",
    "known": "known already",
    "data_error": "wrong data",
}


def shown_fields(incident: Incident) -> dict[str, str]:
    """The fields by their labels; those that do not apply to the incident are left out."""
    texts = {label: text(incident) for label, text in _FIELDS.items()}
    return {label: text for label, text in texts.items() if text}


def _status(one: Incident) -> str:
    return one.status.value + (", muted by a silence" if one.muted else "")


def _since(one: Incident) -> str:
    since = str(one.first_as_of) if one.first_as_of else timestamp(one.opened_at)
    return since + (", from provisional rows" if one.provisional else "")


def _seen(one: Incident) -> str:
    session = f" for {one.as_of}" if one.as_of else ""
    return f"{one.breaches} times, last {timestamp(one.last_seen_at)}{session}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _time(at: datetime | None) -> str:
    return timestamp(at) if at else "-"


def _acknowledged(by: Acknowledgement | None) -> str:
    return f"by {by.by} at {timestamp(by.at)} {by.comment}".rstrip() if by else ""


def _resolved(by: ResolutionRecord | None) -> str:
    if by is None:
        return ""
    verdict = VERDICTS.get(by.outcome.value, by.outcome.value)
    return f"by {by.by} at {timestamp(by.at)}: {verdict} {by.comment}".rstrip()


_FIELDS: dict[str, Callable[[Incident], str]] = {
    "Status": _status,
    "Since": _since,
    "Seen": _seen,
    "Value, limit": lambda one: f"{_number(one.value)}, {_number(one.limit)}",
    "Projection": lambda one: one.projection or "",
    "Alert": lambda one: one.alert or "-",
    "Last notified": lambda one: _time(one.last_notified_at),
    "Escalated": lambda one: f"{one.escalation_step} times" if one.escalation_step else "",
    "Part of": lambda one: f"incident {one.parent}" if one.parent else "",
    "Acknowledged": lambda one: _acknowledged(one.acknowledged),
    "Resolved": lambda one: _resolved(one.resolved),
}
