"""Firings open incidents: notified breaches, missing data, problems of the system itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind

# The rules of incidents about the system; those about strategies are the rule catalogue's.
EXECUTION_FAILED = "execution_failed"
EXECUTION_MISSED = "execution_missed"
DEAD_LETTER = "dead_letter"
DAEMON_SILENT = "daemon_dead"
WATCH_SILENT = "watch_silent"
STORE_UNAVAILABLE = "store_unavailable"
NO_DATA = "no_data"
# The rule of a group of strategies: the incidents of its members get the group's as parent.
JOINT = "joint_exceedances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One breach or problem under its dedup key; `strategy` is empty for the system."""

    dedup_key: str
    strategy: str
    rule: str
    alert: str
    severity: Severity
    run_id: str
    message: str
    kind: Kind = Kind.LEVEL
    evidence: Evidence | None = None
    projection: str | None = None
    session: date | None = None
    as_of: date | None = None
    value: float | None = None
    limit: float | None = None
    p_year: float | None = None
    provisional: bool = False
    restated: bool = False
    parts: Mapping[str, Json] = field(default_factory=dict)


def evaluation_firing(
    one: Evaluation,
    severity: Severity,
    *,
    alert: str,
    as_of: date,
    run_id: str,
    provisional: bool,
    restated: bool = False,
) -> Firing:
    """The firing of an evaluation at `severity`; its judgement may be provisional.

    `restated`: the session was judged before, and its rows have changed.
    """
    return Firing(
        dedup_key=one.dedup_key,
        strategy=one.strategy,
        rule=one.rule,
        alert=alert,
        severity=severity,
        run_id=run_id,
        message=one.message,
        kind=one.kind,
        evidence=one.evidence,
        projection=one.projection,
        session=one.session,
        as_of=as_of,
        value=one.value,
        limit=one.limit,
        p_year=one.p_year,
        provisional=provisional or one.provisional,
        restated=restated,
        parts={**one.parts, **_reliability(one), **({"restated": True} if restated else {})},
    )


def _reliability(one: Evaluation) -> dict[str, Json]:
    """The rule's false-alarm rate (a year) and power, as far as they are known."""
    figures = {
        "false_alarm_rate": one.false_alarm_rate,
        "power": one.power,
        "days_to_half": one.days_to_half,
    }
    return {name: number for name, number in figures.items() if number is not None}


def system_key(rule: str, about: str) -> str:
    """The dedup key of an incident about the system; no strategy's key begins with a bar."""
    escaped = about.replace("\\", "\\\\").replace("|", "\\|")
    return f"|{rule}|{escaped or '-'}"


def system_firing(
    rule: str, about: str, *, message: str, alert: str = "", run_id: str = "", as_of: date | None
) -> Firing:
    """A critical problem of the system; `about` is the alert or channel concerned."""
    return Firing(
        dedup_key=system_key(rule, about),
        strategy="",
        rule=rule,
        alert=alert,
        severity=Severity.CRITICAL,
        run_id=run_id,
        message=message,
        evidence=Evidence.UNGATED,
        as_of=as_of,
        parts={"about": about},
    )
