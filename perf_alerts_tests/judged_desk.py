"""A desk in an alert store whose budget is known: judged, calibrated, with an opening."""

from datetime import date, datetime

from sqlalchemy import Engine

from perf_alerts_dagster.bootstrap.executions import build_session_judge
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Firing
from perf_alerts_dagster.incidents.ports import Decisions
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.transitions import open_incident
from perf_alerts_dagster.judging.evaluation import Evidence
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.projections.ports import LAUNCH, StoredProjection
from perf_alerts_dagster.projections.stored import calibration_arrays, calibration_facts
from perf_alerts_dagster.settings import Settings
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, fine, judged
from perf_alerts_tests.judging.healthy import healthy

ISSUED = date(2025, 1, 2)
NAMES = ("carry", "trend", "young")


def judged_desk(settings: Settings, engine: Engine, now: datetime) -> None:
    """Three strategies, of which `young` has no rate; a critical and a mandate's opening."""
    store = SqlAlertStore(engine)
    found = [fine(strategy=name, rule="drawdown", observations=10) for name in NAMES]
    store.record(judged(*found, breach(strategy="trend")), watermark=None)
    lives = healthy(deepest=0.4)
    calibrations = build_session_judge(settings).issuer.calibrations
    stored = {
        LAUNCH: ({}, {}),
        calibrations: (calibration_facts(lives), calibration_arrays(lives)),
    }
    store.save_projections(
        [
            StoredProjection(
                strategy=name,
                kind=kind,
                issued_on=ISSUED,
                horizon=252,
                seed=1,
                settings_version=settings.settings_version,
                data_hash="d",
                run_id="run",
                facts=facts,
                arrays=arrays,
            )
            for kind, (facts, arrays) in stored.items()
            for name in NAMES[:2]
        ]
    )
    opened = [
        Firing(
            dedup_key=f"{strategy}|{rule}|-",
            strategy=strategy,
            rule=rule,
            alert=DAILY,
            severity=severity,
            evidence=evidence,
        )
        for strategy, rule, severity, evidence in (
            ("trend", "mean_shortfall_252", Severity.CRITICAL, Evidence.STRONG),
            ("carry", "policy_daily_loss", Severity.CRITICAL, Evidence.UNGATED),
        )
    ]
    incidents = tuple(open_incident(firing, now=now, chain=None) for firing in opened)
    SqlIncidents(engine).apply(Decisions(opened=incidents))
