"""A desk whose record grows from one execution to the next, over fakes."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from weakref import finalize
from zoneinfo import ZoneInfo

import numpy as np

from perf_alerts_dagster.control.leases import TTL, LeaseManager, Leases
from perf_alerts_dagster.core.alerts import BY_NAME, Alert
from perf_alerts_dagster.executions.execute import Execution, Executor
from perf_alerts_dagster.executions.session_judge import SessionJudge
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import IncidentStore
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.projections.issue import CALIBRATION, ProjectionIssuer
from perf_alerts_dagster.projections.ports import MemoryProjections, ProjectionStore
from perf_alerts_dagster.records.desk import Desk as KeptDesk
from perf_alerts_dagster.records.model import Dates, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import read
from perf_alerts_tests.builders import MARKET
from perf_alerts_tests.fakes import (
    FakeAlertStore,
    FakeDesk,
    FakeLeases,
    FakeRecordsSource,
)
from perf_alerts_tests.incidents.memory import MemoryIncidents

DAILY = BY_NAME["daily_pnl_check"]
WEEKLY = BY_NAME["weekly_stability_check"]
MONTHLY = BY_NAME["monthly_forward_test_update"]
FIRST = date(2024, 1, 1)
BACKTEST = 300
LIVES = 500


def weekdays(count: int) -> Dates:
    return np.busday_offset(np.datetime64(FIRST, "D"), np.arange(count), roll="forward")


def a_strategy(name: str = "trend", rows: int = 420, *, seed: int = 1) -> StrategyRecord:
    returns = np.random.default_rng(seed).normal(0.0005, 0.01, rows)
    live = np.arange(rows) >= BACKTEST
    return StrategyRecord(strategy=name, dates=weekdays(rows), returns=returns, live=live)


def day(place: int) -> date:
    found: date = weekdays(place + 1)[-1].astype(object)
    return found


def after_close(place: int) -> datetime:
    return datetime.combine(day(place), datetime.min.time(), tzinfo=UTC).replace(hour=18)


def a_session_judge(
    store: ProjectionStore, calibrations: str = CALIBRATION, method: str | None = None
) -> SessionJudge:
    return SessionJudge(
        judge=Judge(
            book=limit_book({}, {}),
            max_lag_sessions=2,
            budgets=Budgets(),
            settings_version="test",
            method_version=method,
        ),
        issuer=ProjectionIssuer(
            store=store,
            paths=200,
            haircut=0.0,
            settings_version="test",
            limits=lambda strategy: DOCUMENTED_LIMITS,
            weights=Budgets().weights_of,
            calibrations=calibrations,
            lives=LIVES,
        ),
    )


def judge(*strategies: StrategyRecord, alert: Alert = DAILY) -> Judgement:
    """Judge the newest session after its close, with projections that are issued then."""
    newest: date = max(record.dates[-1] for record in strategies).astype(object)
    now = datetime.combine(newest, datetime.min.time(), tzinfo=UTC).replace(hour=18)
    records = {record.strategy: record for record in strategies}
    source = FakeRecordsSource(TrackRecords(source="test", strategies=records))
    reading = read(source, MARKET, as_of=None, now=now, timezone=ZoneInfo("UTC"))
    session_judge = a_session_judge(MemoryProjections())
    return session_judge.judge_newest(alert, reading, run_id="run", now=now)


class Desk:
    """An executor over fakes whose record grows as the test goes on."""

    def __init__(self, *, catch_up: int = 30) -> None:
        self.store: AlertStore = FakeAlertStore()
        self.kept: KeptDesk = FakeDesk()
        state = Path(mkdtemp())
        finalize(self, rmtree, state)
        self.state_dir = state
        self.leases: Leases = FakeLeases()
        self.incidents: IncidentStore = MemoryIncidents()
        self.catch_up = catch_up
        self.clock: Callable[[], datetime] | None = None
        self.ttl = TTL
        self.policy = NotificationSettings()
        self.calibrations = CALIBRATION
        self.method: str | None = None

    def written(self) -> list[str]:
        """The texts of the summary files."""
        return [
            path.read_text()
            for path in sorted((self.state_dir / "performance_alerts" / "scheduled").glob("*.json"))
        ]

    def run(
        self,
        records: TrackRecords,
        now: datetime,
        *,
        alert: Alert = DAILY,
        as_of: date | None = None,
        run_id: str = "run",
        at_or_before: bool = False,
        switched_on: datetime | None = None,
    ) -> Execution:
        return Executor(
            records=FakeRecordsSource(records),
            store=self.store,
            desk=self.kept,
            state_dir=self.state_dir,
            session_judge=a_session_judge(self.store, self.calibrations, self.method),
            lifecycle=Lifecycle(store=self.incidents, settings=self.policy),
            deliver=lambda: None,
            leases=LeaseManager(
                leases=self.leases, clock=self.clock or (lambda: now), ttl=self.ttl, poll=0.01
            ),
            market=MARKET,
            timezone=ZoneInfo("UTC"),
            catch_up=self.catch_up,
            gate=True,
            settings_content="{}",
        ).execute(
            alert,
            as_of=as_of,
            run_id=run_id,
            now=now,
            at_or_before=at_or_before,
            switched_on=switched_on,
        )


def record(rows: int, **changes: float) -> TrackRecords:
    strategy = a_strategy().rows(0, rows)
    returns = strategy.returns.copy()
    for place, value in changes.items():
        returns[int(place.removeprefix("row"))] = value
    made = StrategyRecord(
        strategy="trend", dates=strategy.dates, returns=returns, live=strategy.live
    )
    return TrackRecords(source="test", strategies={"trend": made})


def dates(execution: Execution) -> list[date]:
    return [one.as_of for one in execution.judgements]
