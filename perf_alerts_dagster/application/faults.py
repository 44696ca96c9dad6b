"""Incidents about the system: failed and missed executions, channels that do not deliver."""

from perf_alerts_dagster.application.draft import Draft
from perf_alerts_dagster.application.incidents import Mark, Unapplied
from perf_alerts_dagster.application.opening import apply_judgement, recover
from perf_alerts_dagster.domain.incidents.firing import (
    EXECUTION_FAILED,
    EXECUTION_MISSED,
    system_key,
)
from perf_alerts_dagster.domain.incidents.state import Resolution
from perf_alerts_dagster.domain.incidents.table import Event


def apply_all(draft: Draft, found: Unapplied) -> None:
    """Apply what was recorded, in its order, and mark how far that is."""
    if not found.judgements:
        return
    newest = max(judgement.as_of for _, judgement in found.judgements)
    for _, judgement in found.judgements:
        apply_judgement(draft, judgement, is_newest=judgement.as_of == newest)
    draft.marks.append(Mark(alert=found.alert, before=found.mark, after=found.judgements[-1][0]))


def succeeded(draft: Draft, alert: str) -> None:
    """An execution ended well: what failed or was missed before it is over."""
    for rule in (EXECUTION_FAILED, EXECUTION_MISSED):
        live = draft.live(system_key(rule, alert))
        if live is not None:
            recover(draft, live, Event.RECOVERED, Resolution.RECOVERED)
