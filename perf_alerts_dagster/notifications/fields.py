"""The fields of an incident for people, the same on the page and the command line.

Those for programs are in `api/incidents/schemas.py`.
"""

from perf_alerts_dagster.core.wording import counted
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.judging.rule import shown
from perf_alerts_dagster.judging.rules.catalogue import unit_of
from perf_alerts_dagster.notifications.timeline import VERDICTS as VERDICTS
from perf_alerts_dagster.notifications.timeline import Clock, hold_words, resolution_words


def shown_fields(incident: Incident, clock: Clock) -> dict[str, str]:
    """The fields by label, without those that do not apply to the incident."""
    first, notified_at = incident.first_as_of, incident.last_notified_at
    since = clock.local(incident.opened_at) if first is None else clock.day(first)
    session = f" for {clock.day(incident.as_of)}" if incident.as_of else ""
    seen, held, resolved = incident.last_seen_at, incident.acknowledged, incident.resolved
    fields = {
        "Status": incident.status.value + (", muted by a silence" if incident.muted else ""),
        "Since": since + (", from provisional rows" if incident.provisional else ""),
        "Seen": f"{counted(incident.breaches, 'time')}, last {clock.local(seen)}{session}",
        "Value, limit": _values(incident),
        "Projection": incident.projection,
        "Alert": incident.alert or "-",
        "Last notified": clock.local(notified_at) if notified_at else "-",
        "Escalated": counted(incident.escalation_step, "time") if incident.escalation_step else "",
        "Part of": f"incident {incident.parent}" if incident.parent else "",
        "Acknowledged": hold_words(held, clock).removeprefix("acknowledged ") if held else "",
        "Resolved": resolution_words(resolved, clock).removeprefix("resolved ") if resolved else "",
    }
    return {label: text for label, text in fields.items() if text}


def _values(incident: Incident) -> str:
    """The value and the limit in the unit of the rule; of one that is gone without."""
    unit = unit_of(incident.rule, incident.parts)
    texts = [shown(each, unit) for each in (incident.value, incident.limit)]
    return ", ".join(text or "-" for text in texts) if any(texts) else ""
