"""A scheduler in memory: what it is told to be, and a list of what it was asked."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from perf_alerts_dagster.control.audit import (
    Audit,
    AuditOutcome,
    AuditPage,
    AuditRow,
    Change,
    Thresholds,
    ThresholdVersion,
    VersionConflict,
)
from perf_alerts_dagster.control.principal import KeyUse, Revocations
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.judging.ports import Period, StoredEvaluation
from perf_alerts_dagster.scheduler.idempotency import (
    LEASE,
    Claimed,
    Claims,
    Place,
    WaitingRuns,
    Wanted,
)
from perf_alerts_dagster.scheduler.pauses import Pause, Pauses
from perf_alerts_dagster.scheduler.port import (
    AlertRun,
    AlertSchedule,
    Launch,
    RunFilter,
    RunPage,
    RunState,
    Scheduler,
    SchedulerError,
    SchedulerStatus,
)
from perf_alerts_dagster.settings import load_settings
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
        outcome="ok",
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


class FakeClaims(Claims, WaitingRuns):
    """Claims in memory; `wait` is the run that waits. `fault` is raised by every method."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], dict[str, Any]] = {}
        self.wait: str | None = None
        self.fault: StoreUnavailable | None = None
        self._markers = count()

    def claim(self, wanted: Wanted, now: datetime) -> Claimed:
        self._enter()
        row = self.kept.get((wanted.scope, wanted.claim_key))
        if row is None or now - row["at"] > wanted.keep:
            marker = f"marker-{next(self._markers)}"
            self.kept[wanted.scope, wanted.claim_key] = {
                "fingerprint": wanted.fingerprint,
                "marker": marker,
                "run_id": None,
                "at": now,
                "open_until": now + LEASE,
            }
            return Claimed(place=Place.NEW, marker=marker)
        if row["fingerprint"] != wanted.fingerprint:
            return Claimed(place=Place.OTHER)
        if row["run_id"] is not None:
            return Claimed(place=Place.DONE, marker=row["marker"], run_id=row["run_id"])
        if row["open_until"] > now:
            return Claimed(place=Place.OPEN, marker=row["marker"])
        row["open_until"] = now + LEASE
        return Claimed(place=Place.RESUMED, marker=row["marker"])

    def settle(self, wanted: Wanted, marker: str, run_id: str, now: datetime) -> None:
        self._enter()
        self.kept[wanted.scope, wanted.claim_key]["run_id"] = run_id

    def release(self, wanted: Wanted, marker: str) -> None:
        self._enter()
        self.kept.pop((wanted.scope, wanted.claim_key), None)

    def waiting_run(self, alert: str, now: datetime) -> str | None:
        self._enter()
        return self.wait

    def _enter(self) -> None:
        if self.fault is not None:
            raise self.fault


class FakePauses(Pauses):
    """Pauses in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Pause] = {}

    def pauses(self) -> Mapping[str, Pause]:
        return dict(self.kept)

    def keep(self, pause: Pause) -> None:
        self.kept[pause.alert] = pause

    def drop(self, alert: str) -> None:
        self.kept.pop(alert, None)


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


class FakeAudit(Audit):
    """The audit in memory; `fault` is raised by every method."""

    def __init__(self) -> None:
        self.rows: list[AuditRow] = []
        self.fault: StoreUnavailable | None = None

    def intent(self, change: Change) -> int:
        self._enter()
        known = {field.name: getattr(change, field.name) for field in fields(change)}
        self.rows.append(AuditRow(id=len(self.rows), outcome=AuditOutcome.OPEN, **known))
        return len(self.rows) - 1

    def outcome(self, row_id: int, outcome: AuditOutcome, after: Json = None) -> None:
        self._enter()
        row = self.rows[row_id]
        self.rows[row_id] = replace(
            row, outcome=outcome, after=row.after if after is None else after
        )

    def entries(
        self, *, since: datetime | None = None, before: int | None = None, limit: int = 50
    ) -> AuditPage:
        self._enter()
        return AuditPage(rows=tuple(reversed(self.rows)))

    def sweep_open(self, now: datetime) -> int:
        self._enter()
        return 0

    def _enter(self) -> None:
        if self.fault is not None:
            raise self.fault


class FakeHistory(FakeAlertStore):
    """A store whose period and current evaluations are those that a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[StoredEvaluation] = []
        self.notified = Period(counts={})

    def period(self, start: datetime, end: datetime) -> Period:
        return self.notified

    def current(
        self, *, strategy: str | None = None, rule: str | None = None
    ) -> list[StoredEvaluation]:
        return [
            one
            for one in self.found
            if strategy in (None, one.evaluation.strategy) and rule in (None, one.evaluation.rule)
        ]


class FakeThresholds(Thresholds):
    """Thresholds in memory."""

    def __init__(self) -> None:
        self.versions: list[ThresholdVersion] = []

    def current(self) -> ThresholdVersion | None:
        return self.versions[-1] if self.versions else None

    def put(
        self, content: Mapping[str, Json], change: Change, *, expected: int | None
    ) -> ThresholdVersion:
        if expected not in (None, len(self.versions)):
            raise VersionConflict(len(self.versions))
        made = ThresholdVersion(
            version=len(self.versions) + 1, content=content, at=change.at, actor=change.actor
        )
        self.versions.append(made)
        return made

    def history(self, limit: int = 50) -> list[ThresholdVersion]:
        return self.versions[::-1][:limit]


class FakeRevocations(Revocations):
    """Revoked tokens in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, datetime] = {}

    def revoke(self, token_id: str, until: datetime, change: Change) -> None:
        self.kept[token_id] = until

    def is_revoked(self, token_id: str) -> bool:
        return token_id in self.kept

    def prune(self, now: datetime) -> int:
        return 0


class FakeKeyUse(KeyUse):
    """Uses of keys in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, datetime] = {}

    def last_used(self) -> Mapping[str, datetime]:
        return dict(self.kept)

    def used(self, times: Mapping[str, datetime]) -> None:
        self.kept |= times
