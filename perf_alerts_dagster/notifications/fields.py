"""The fields of an incident for people, the same on the page and the command line.

Those for programs are in `api/incidents/schemas.py`.
"""

from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.incidents.model import Incident

# A person's verdicts in words.
VERDICTS = {
    "true": "a true alarm",
    "false": "a false alarm",
    "known": "known already",
    "data_error": "wrong data",
}


def shown_fields(incident: Incident) -> dict[str, str]:
    """The fields by label, without those that do not apply to the incident."""
    since = str(incident.first_as_of or timestamp(incident.opened_at))
    session = f" for {incident.as_of}" if incident.as_of else ""
    notified_at = incident.last_notified_at
    fields = {
        "Status": incident.status.value + (", muted by a silence" if incident.muted else ""),
        "Since": since + (", from provisional rows" if incident.provisional else ""),
        "Seen": f"{incident.breaches} times, last {timestamp(incident.last_seen_at)}{session}",
        "Value, limit": f"{_number(incident.value)}, {_number(incident.limit)}",
        "Projection": incident.projection,
        "Alert": incident.alert or "-",
        "Last notified": timestamp(notified_at) if notified_at else "-",
        "Escalated": f"{incident.escalation_step} times" if incident.escalation_step else "",
        "Part of": f"incident {incident.parent}" if incident.parent else "",
        "Acknowledged": _acknowledged(incident),
        "Resolved": _resolved(incident),
    }
    return {label: text for label, text in fields.items() if text}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _acknowledged(incident: Incident) -> str:
    by = incident.acknowledged
    return f"by {by.by} at {timestamp(by.at)} {by.comment}".rstrip() if by else ""


def _resolved(incident: Incident) -> str:
    by = incident.resolved
    if by is None:
        return ""
    verdict = VERDICTS.get(by.outcome.value, by.outcome.value)
    return f"by {by.by} at {timestamp(by.at)}: {verdict} {by.comment}".rstrip()
