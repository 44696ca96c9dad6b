"""The state that version 3.0.0 left behind, unpacked and read through the code at hand.

How it was made: `reference/state_3.0.0.md`. What is read here goes through the front doors (the
command line, REST, the executor, a Dagster instance) and through the database's own tables, so
that moved classes change few lines.
"""

import asyncio
import hashlib
import json
import math
import re
import tarfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import psycopg
from click.testing import CliRunner
from dagster._core.definitions.selector import InstigatorSelector
from dagster._core.workspace.load_target import WorkspaceFileTarget
from sqlalchemy import MetaData, create_engine, inspect, make_url, select

from perf_alerts_dagster.bootstrap.executions import build_services
from perf_alerts_dagster.bootstrap.records import store_url
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.defs.build import build_definitions
from perf_alerts_dagster.executions.execute import Executor
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.scheduler.port import Scheduler
from perf_alerts_dagster.server.app import Parts, create_app, open_parts
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.stack.dagster_home import prepare_home
from perf_alerts_tests.server.fakes import FakeScheduler

REFERENCE = Path(__file__).parent / "reference"
ARCHIVE = REFERENCE / "state_3.0.0.tar.xz"

BASE = "/api/performance-alerts"
KEYS = {
    role: f"{role}-key-of-the-tests-0123456789abcdef"
    for role in ("viewer", "operator", "admin", "master")
}
# The settings of the stack that made it. Nobody listens on port 9.
ENVIRON = {
    "ALERT_PROJECTION_PATHS": "1000",
    "ALERT_POLICY_LIMITS": (
        '{"default": {"drawdown": 0.2, "daily_loss": 0.03, '
        '"columns": {"leverage": {"max": 2.5}}, "severity": "critical"}}'
    ),
    "ALERT_NOTIFY_URLS": "http://127.0.0.1:9/desk,http://127.0.0.1:9/gone?min_severity=critical",
    "ALERT_ESCALATION_URLS": "http://127.0.0.1:9/lead",
    "ALERT_ESCALATION_DELAY_MINUTES": "1",
    "ALERT_NOTIFY_ALLOWED_HOSTS": "127.0.0.1",
    "ALERT_DAILY_DIGEST": "true",
    "ALERT_JWT_SECRET": "only-for-the-tests-0123456789-abcdefghijklmnop",
    "ALERT_WEBSERVER_PORT": "9",
    # What version 3.0.0 took for granted.
    "ALERT_SESSION_CLOSE": "17:00",
    **{f"ALERT_{role.upper()}_API_KEY": key for role, key in KEYS.items()},
}
# After the last change in it, and after the close of the session that follows.
LATER = datetime(2026, 11, 29, 12, tzinfo=UTC)
NEXT_EVENING = datetime(2026, 11, 30, 18, tzinfo=UTC)
DAILY = "daily_pnl_check"
_NUMBERS = ("id", "judgement_id", "notification_id")
_TEXTS = {"message", "notes", "subject", "text"}

Row = dict[str, Any]
Tables = dict[str, list[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An unpacked copy; `database_url` where its alert store is PostgreSQL's."""

    folder: Path
    database_url: str | None = None

    @property
    def before(self) -> Any:
        """What version 3.0.0 itself read from the copy, and did next."""
        return json.loads((self.folder / "read.json").read_text())

    @property
    def environ(self) -> dict[str, str]:
        """The variables that point at this copy."""
        return {
            **ENVIRON,
            "ALERT_STATE_DIR": str(self.folder / "state"),
            "ALERT_RECORDS_URL": str(self.folder / "record"),
            **({} if self.database_url is None else {"ALERT_DATABASE_URL": self.database_url}),
        }

    @property
    def settings(self) -> Settings:
        """The settings that the copy was made with, but for where it is."""
        return load_settings(self.environ, None)

    def add_next_session(self) -> None:
        """The rows of 2026-11-30 arrive."""
        with (self.folder / "record" / "daily.csv").open("a") as file:
            file.write((self.folder / "next_session.csv").read_text())


def unpacked(folder: Path, database_url: str | None = None) -> Stored:
    """A copy under `folder`; its alert store is put into the empty database, where one is given."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    if database_url is not None:
        (folder / "state" / "perf_alerts.db").unlink()
        plain = make_url(database_url).set(drivername="postgresql")
        with psycopg.connect(plain.render_as_string(hide_password=False)) as connection:
            connection.execute((folder / "store.sql").read_bytes())
    return Stored(folder=folder, database_url=database_url)


def table_rows(settings: Settings) -> Tables:
    """Every row of every table, read without any code of the product, JSON-ready."""
    engine = create_engine(store_url(settings))
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        found = {
            name: [
                {column: _plain(value) for column, value in row.items()}
                for row in connection.execute(
                    select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for name, table in metadata.tables.items()
        }
    engine.dispose()
    return found


def schema(url: str) -> dict[str, Any]:
    """Tables with their columns, keys and indexes as the database tells them."""
    engine = create_engine(url)
    look = inspect(engine)
    found = {
        table: {
            "columns": {
                one["name"]: [str(one["type"]), "null" if one["nullable"] else "not null"]
                for one in look.get_columns(table)
            },
            "primary_key": look.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted(one["column_names"] for one in look.get_unique_constraints(table)),
            "foreign_keys": sorted(
                [one["constrained_columns"], one["referred_table"], one["referred_columns"]]
                for one in look.get_foreign_keys(table)
            ),
            "indexes": {
                str(one["name"]): [one["column_names"], bool(one["unique"])]
                for one in look.get_indexes(table)
            },
        }
        for table in look.get_table_names()
    }
    engine.dispose()
    return found


def command(*words: str) -> str:
    """The standard output of a command of `perf-alerts` that must succeed."""
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def notified_by_commands() -> dict[str, Any]:
    """What the command line says of incidents; the environment points at a copy."""
    listed = json.loads(command("incidents", "list", "--all", "--json"))
    return {
        "incidents": listed,
        "shown": {
            one["id"]: json.loads(command("incidents", "show", one["id"], "--json"))
            for one in listed["incidents"]
        },
    }


def notified_by_rest(stored: Stored) -> dict[str, Any]:
    """The answers of the proxy over the real store and record, at one fixed time."""
    token = (stored.folder / "token").read_text()
    return asyncio.run(_answers(stored.settings, token))


async def _answers(settings: Settings, token: str) -> dict[str, Any]:
    async with _serving(settings) as client:

        async def get(path: str) -> Any:
            answer = await client.get(path, headers={"X-Alert-API-Key": KEYS["admin"]})
            assert answer.status_code == 200, answer.text
            return answer.json()

        found = {
            path: await get(path)
            for path in (
                "/incidents?limit=200",
                "/incidents?status=acknowledged",
                "/silences",
                "/config/thresholds",
                "/admin/audit?limit=200",
                "/strategies?limit=200",
                "/strategies/carry/projection",
                "/strategies/group:trend/projection",
            )
        }
        for one in found["/incidents?limit=200"]["data"]:
            found[f"/incidents/{one['id']}"] = await get(f"/incidents/{one['id']}")
        me = await client.get("/auth/me", headers={"X-Alert-API-Key": KEYS["operator"]})
        revoked = await client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
        metrics = await client.get("/metrics", headers={"X-Alert-API-Key": KEYS["admin"]})
        found["/auth/me"] = me.json()
        found["revoked token"] = [revoked.status_code, revoked.json()["code"]]
        found["/metrics"] = {
            name: float(value)
            for name, _, value in (
                line.rpartition(" ") for line in metrics.text.splitlines() if line[:1] != "#"
            )
            if name.startswith(("perf_alerts_incidents", "perf_alerts_messages", "perf_alerts_old"))
        }
    return found


def pages(settings: Settings, *paths: str) -> dict[str, tuple[int, str]]:
    """The status and the text of pages as an operator sees them, beside a scheduler that answers.

    The text is without marks, with single spaces.
    """
    return asyncio.run(_pages(settings, paths))


async def _pages(settings: Settings, paths: Iterable[str]) -> dict[str, tuple[int, str]]:
    async with _serving(settings, FakeScheduler(clock=lambda: LATER)) as client:
        site = str(client.base_url.copy_with(path="/")).rstrip("/")
        await client.post(f"{site}/login", data={"api_key": KEYS["operator"]})
        answers = {path: await client.get(f"{site}{path}") for path in paths}
        return {
            path: (answer.status_code, " ".join(re.sub("<[^>]+>", " ", answer.text).split()))
            for path, answer in answers.items()
        }


@asynccontextmanager
async def _serving(
    settings: Settings, scheduler: Scheduler | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """The real application at a fixed time, in which nobody sweeps: reading changes nothing."""

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[Parts]:
        async with open_parts(settings) as parts:
            proxy = replace(
                parts.proxy, clock=lambda: LATER, scheduler=scheduler or parts.proxy.scheduler
            )
            yield replace(parts, proxy=proxy, sweeper=None, outage=None)

    app = create_app(settings, open_parts=opened)

    async with app.router.lifespan_context(app) as state:

        async def stated(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=stated),
            base_url=f"http://localhost{BASE}",
            headers={"X-Request-ID": "req-1"},
        ) as client:
            yield client


def notified_by_dagster(settings: Settings) -> dict[str, Any]:
    """Runs with their events, and whether each schedule of the code at hand is on."""
    home = prepare_home(settings)
    (server,) = WorkspaceFileTarget([str(home / "workspace.yaml")]).create_origins()
    repository = build_definitions(settings).get_repository_def()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        kept = {one.selector_id: one for one in instance.all_instigator_state()}
        schedules = {}
        for schedule in repository.schedule_defs:
            selector = InstigatorSelector(
                location_name=server.location_name,
                repository_name=repository.name,
                name=schedule.name,
            )
            state = kept.get(selector.get_id())
            schedules[schedule.name] = (
                schedule.default_status.value if state is None else (state.status.value)
            )
        return {
            "schedules": schedules,
            "runs": {
                run.run_id: {
                    "job": run.job_name,
                    "status": run.status.value,
                    "tags": {k: v for k, v in run.tags.items() if k.startswith("perf_alerts/")},
                    "partition": run.tags.get("dagster/partition"),
                    "events": [
                        one.dagster_event.event_type_value
                        for one in instance.all_logs(run.run_id)
                        if one.dagster_event is not None
                    ],
                }
                for run in instance.get_runs()
            },
            "judged": {
                key.to_user_string(): sorted(instance.get_materialized_partitions(key))
                for key in repository.asset_graph.get_all_asset_keys()
            },
        }


def projections_read(settings: Settings) -> dict[str, dict[str, str]]:
    """The SHA-256 of each projection's arrays as the store of the code at hand reads them."""
    kinds = sorted({one["kind"] for one in table_rows(settings)["projections"]})
    with _executor(settings) as executor:
        return {
            f"{kind} {strategy}": {
                name: hashlib.sha256(array.tobytes()).hexdigest()
                for name, array in one.arrays.items()
            }
            for kind in kinds
            for strategy, one in executor.store.projections(
                kind=kind, on_or_before=LATER.date()
            ).items()
        }


def execute(
    settings: Settings, run_id: str, now: datetime, *, alert: str = DAILY
) -> dict[str, Any]:
    """A further execution, and what it added to or changed in the tables.

    It sends nothing: what waits is the sweep's, and goes by the real time. Texts for people are
    left out, since they may be worded anew.
    """
    before = table_rows(settings)
    with _executor(settings) as executor:
        done = executor.execute(BY_NAME[alert], as_of=None, run_id=run_id, now=now)
    after = table_rows(settings)
    # Who holds which lease goes by the real time.
    before.pop("leases")
    after.pop("leases")
    assert done.summary is not None
    return {
        "summary": _without_texts(json.loads(done.summary.read_text())),
        "tables": {
            name: [_comparable(name, row) for row in rows if row not in before[name]]
            for name, rows in after.items()
        },
        "gone": {
            name: len(lost)
            for name, rows in before.items()
            if (lost := [row for row in rows if row not in after[name]])
        },
    }


@contextmanager
def _executor(settings: Settings) -> Iterator[Executor]:
    found = build_services(settings)
    assert isinstance(found.store, SqlAlertStore)
    try:
        yield replace(found, deliver=lambda: None)
    finally:
        found.store.close()


def _comparable(table: str, row: Row) -> Row:
    """JSON text read; without numbers that a database gives and the arrays of projections.

    A row that was there already uses up a number of PostgreSQL's, and none of SQLite's.
    """
    left_out = {name for name in _NUMBERS if isinstance(row.get(name), int)}
    if table == "projections":
        left_out |= {"arrays", "facts"}
    return {
        name: _without_texts(json.loads(value) if str(value)[:1] in ("{", "[") else value)
        for name, value in row.items()
        if name not in left_out | _TEXTS
    }


def _without_texts(value: Any) -> Any:
    match value:
        case dict():
            return {k: _without_texts(v) for k, v in value.items() if k not in _TEXTS}
        case list():
            return [_without_texts(one) for one in value]
        case _:
            return value


def _plain(value: object) -> Any:
    match value:
        case datetime():
            return (
                (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat()
            )
        case date():
            return value.isoformat()
        case bytes() | memoryview():
            return f"sha256:{hashlib.sha256(bytes(value)).hexdigest()}"
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def missing(before: object, now: object, *, where: str = "") -> Iterable[str]:
    """What was there before and is not, or is something else: more fields and rows may come."""
    match before, now:
        case dict(), dict():
            for name, value in before.items():
                if name not in now:
                    yield f"{where}/{name} is gone"
                else:
                    yield from missing(value, now[name], where=f"{where}/{name}")
        case list(), list():
            if len(before) != len(now):
                yield f"{where}: {len(before)} are {len(now)} now"
            for place, (one, other) in enumerate(zip(before, now, strict=False)):
                yield from missing(one, other, where=f"{where}/{place}")
        case float(), float() | int():
            if not math.isclose(before, now, rel_tol=1e-9, abs_tol=1e-12):
                yield f"{where}: {before!r} is {now!r} now"
        case _:
            if before != now:
                yield f"{where}: {before!r} is {now!r} now"
