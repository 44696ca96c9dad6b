"""A scheduler in memory: what it is told to be, and a list of what it was asked."""

import asyncio
import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from perf_alerts_dagster.control.audit import AuditRow, Change
from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.ports import Period, StoredEvaluation
from perf_alerts_dagster.scheduler.port import (
    LEASE,
    AlertRun,
    AlertSchedule,
    Claim,
    ClaimStatus,
    Launch,
    Pause,
    RunFilter,
    RunPage,
    RunState,
    Scheduler,
    SchedulerError,
    SchedulerStatus,
    SchedulerStore,
    TriggerRequest,
)
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.fakes import FakeAlertStore

NOW = datetime(2026, 1, 30, 18, 0, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def alert_run(alert: str = "daily_pnl_check", **changes: object) -> AlertRun:
    """A run that succeeded at the first attempt."""
    made = AlertRun(
        alert=alert,
        run_id="8b462620-81ec-4a82-a40d-48980982b254",
        state=RunState.SUCCESS,
        created_at=datetime(2026, 1, 30, 17, 0, 15, tzinfo=UTC),
        started_at=datetime(2026, 1, 30, 17, 0, 17, tzinfo=UTC),
        ended_at=datetime(2026, 1, 30, 17, 0, 45, tzinfo=UTC),
        attempts=1,
        as_of="2026-01-30",
        triggered_by="schedule",
        outcome="insufficient_data",
        note="new_ml: 40 of 756 rows; watched only for data and drawdown",
    )
    return replace(made, **changes)  # type: ignore[arg-type] # a builder


@dataclass
class FakeScheduler(Scheduler):
    """`fault` is raised by every call, or after it was carried out where `late`.

    `tags` are those of each run that was launched here, by its id. Calls wait for `gate`.
    """

    clock: Callable[[], datetime] = lambda: NOW
    fault: SchedulerError | None = None
    late: bool = False
    heartbeat: timedelta | None = timedelta(seconds=20)
    state: RunState = RunState.STARTING
    disabled: set[str] = field(default_factory=set)
    history: list[AlertRun] = field(default_factory=list)
    newest_tick: datetime | None = None
    calls: list[str] = field(default_factory=list)
    launched: list[Launch] = field(default_factory=list)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    gate: asyncio.Event | None = None

    async def status(self, now: datetime) -> SchedulerStatus:
        await self._enter("status")
        return SchedulerStatus(
            at=now,
            heartbeat_at=None if self.heartbeat is None else self.clock() - self.heartbeat,
            settings=load_settings({}, dotenv=None).public(),
            alerts=tuple(self._schedule(alert.name) for alert in ALERTS),
        )

    async def runs(self, wanted: RunFilter) -> RunPage:
        await self._enter("runs")
        found = [run for run in reversed(self.history) if self._fits(run, wanted)]
        if wanted.before is not None:
            ids = [run.run_id for run in found]
            found = found[ids.index(wanted.before) + 1 :] if wanted.before in ids else []
        page = tuple(found[: wanted.limit])
        return RunPage(runs=page, last=page[-1].run_id if len(page) >= wanted.limit else None)

    async def run(self, run_id: str) -> AlertRun | None:
        await self._enter("run")
        return next((run for run in self.history if run.run_id == run_id), None)

    async def launch(self, wanted: Launch) -> AlertRun:
        if not self.late:
            await self._enter("launch")
        self.launched.append(wanted)
        run = AlertRun(
            alert=wanted.alert,
            run_id=f"00000000-0000-4000-8000-{len(self.history):012d}",
            state=self.state,
            created_at=self.clock(),
            request_id=wanted.tags.get("perf_alerts/request_id"),
            triggered_by=wanted.tags.get("perf_alerts/triggered_by"),
            partition=wanted.as_of.isoformat() if wanted.as_of else None,
        )
        self.history.append(run)
        self.tags[run.run_id] = dict(wanted.tags)
        if self.late:
            await self._enter("launch")
        return run

    async def switch(self, alert: str, *, enabled: bool) -> AlertSchedule:
        await self._enter("switch")
        (self.disabled.discard if enabled else self.disabled.add)(alert)
        return self._schedule(alert)

    async def reload(self) -> None:
        await self._enter("reload")

    def end(self, run_id: str, state: RunState = RunState.SUCCESS) -> None:
        """A run ends."""
        self.history = [
            replace(run, state=state, started_at=run.created_at, ended_at=self.clock(), attempts=1)
            if run.run_id == run_id
            else run
            for run in self.history
        ]

    async def _enter(self, call: str) -> None:
        self.calls.append(call)
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault

    def _schedule(self, name: str) -> AlertSchedule:
        enabled = name not in self.disabled
        runs = [run for run in reversed(self.history) if run.alert == name]
        return AlertSchedule(
            name=name,
            enabled=enabled,
            next_run=self.clock() + timedelta(hours=23) if enabled else None,
            newest_tick=self.newest_tick,
            runs=tuple(runs[:5]),
        )

    def _fits(self, run: AlertRun, wanted: RunFilter) -> bool:
        tags = self.tags.get(run.run_id, {})
        return (
            wanted.alert in (None, run.alert)
            and (not wanted.states or run.state in wanted.states)
            and (wanted.since is None or run.created_at > wanted.since)
            and all(tags.get(key) == value for key, value in wanted.tags.items())
        )


class FakeSchedulerStore(SchedulerStore):
    """Claims and pauses in memory; `fault` is raised by every method."""

    def __init__(self) -> None:
        self.claims: dict[tuple[str, str], dict[str, Any]] = {}
        self.paused: dict[str, Pause] = {}
        self.fault: StoreUnavailable | None = None
        self._markers = count()

    def claim(self, request: TriggerRequest, now: datetime) -> Claim:
        self._enter()
        row = self.claims.get((request.scope, request.claim_key))
        if row is None or now - row["at"] > request.keep:
            marker = f"marker-{next(self._markers)}"
            self.claims[request.scope, request.claim_key] = {
                "fingerprint": request.fingerprint,
                "marker": marker,
                "run_id": None,
                "at": now,
                "open_until": now + LEASE,
            }
            return Claim(status=ClaimStatus.NEW, marker=marker)
        if row["fingerprint"] != request.fingerprint:
            return Claim(status=ClaimStatus.OTHER)
        if row["run_id"] is not None:
            return Claim(status=ClaimStatus.DONE, marker=row["marker"], run_id=row["run_id"])
        if row["open_until"] > now:
            return Claim(status=ClaimStatus.OPEN, marker=row["marker"])
        row["open_until"] = now + LEASE
        return Claim(status=ClaimStatus.RESUMED, marker=row["marker"])

    def settle(self, request: TriggerRequest, marker: str, run_id: str) -> None:
        self._enter()
        self.claims[request.scope, request.claim_key]["run_id"] = run_id

    def release(self, request: TriggerRequest, marker: str) -> None:
        self._enter()
        self.claims.pop((request.scope, request.claim_key), None)

    def pauses(self) -> Mapping[str, Pause]:
        self._enter()
        return dict(self.paused)

    def keep_pause(self, pause: Pause) -> None:
        self._enter()
        self.paused[pause.alert] = pause

    def drop_pause(self, alert: str) -> None:
        self._enter()
        self.paused.pop(alert, None)

    def _enter(self) -> None:
        if self.fault is not None:
            raise self.fault


@dataclass
class Time:
    """A clock that only `pause` moves."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    async def pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class ReadableAudit(SqlAudit):
    """The real audit; `rows` are all its rows, oldest first. `fault` is raised by an intent."""

    fault: StoreUnavailable | None = None

    @property
    def rows(self) -> list[AuditRow]:
        return list(reversed(self.entries().rows))

    def intent(self, change: Change) -> int:
        if self.fault is not None:
            raise self.fault
        return super().intent(change)


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/alerts.db")
        migrate(engine)
        engine.dispose()
        return Path(folder, "alerts.db").read_bytes()


class Database:
    """A migrated alert store in a file of its own, for as long as it is used."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        file = Path(folder, "alerts.db")
        file.write_bytes(_migrated())
        self.engine = open_engine(f"sqlite:///{file}", pooled=False)


class FakeHistory(FakeAlertStore):
    """A store whose period and current evaluations are those that a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[StoredEvaluation] = []
        self.notified = Period(counts={})

    def period(self, start: datetime, end: datetime) -> Period:
        return self.notified

    def current(
        self,
        *,
        strategy: str | None = None,
        rule: str | None = None,
        strategies: Collection[str] | None = None,
        as_of: date | None = None,
    ) -> list[StoredEvaluation]:
        return [
            one
            for one in self.found
            if strategy in (None, one.evaluation.strategy)
            and rule in (None, one.evaluation.rule)
            and (as_of is None or one.as_of <= as_of)
            and (strategies is None or one.evaluation.strategy in strategies)
        ]
