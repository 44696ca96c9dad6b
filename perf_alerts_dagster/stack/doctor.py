"""Examine the running system from outside: state, store, stack, code location, daemon, runs."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from perf_alerts_dagster.core.errors import PerfAlertsError
from perf_alerts_dagster.scheduler.graphql import documents
from perf_alerts_dagster.scheduler.graphql.client import Budgets, connected
from perf_alerts_dagster.scheduler.port import SchedulerError
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.stack import findings
from perf_alerts_dagster.stack.dagster_home import prepare_home
from perf_alerts_dagster.stack.findings import Finding

_MINIMUM_FREE = 200 * 2**20
_SECONDS = 10.0


def examine(settings: Settings, now: datetime, *, mend: bool = False) -> Iterator[Finding]:
    """Everything that is wrong, in the order in which it should be mended.

    Args:
        settings: What the system runs with.
        now: The time of the look, aware.
        mend: Bring schedules with ticks in the future back to now.
    """
    folder = settings.state_dir
    if not folder.is_dir():
        yield Finding(
            where=f"state folder {folder}",
            what="is not there",
            mend="start the stack once: `perf-alerts up`; or set ALERT_STATE_DIR",
        )
        return
    broken = list(findings.free_space(folder, minimum=_MINIMUM_FREE))
    yield from broken
    yield from _store(settings, now)
    if any("cannot be written" in one.what for one in broken):
        return
    yield from _locations(settings.webserver_port)
    yield from _instance(settings, now, mend=mend)


def _store(settings: Settings, now: datetime) -> Iterator[Finding]:
    from perf_alerts_dagster.bootstrap.records import store_url
    from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
    from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
    from perf_alerts_dagster.judging.store.sql import open_store

    try:
        store = open_store(store_url(settings))
        try:
            yield from findings.messages(SqlOutbox(store.engine), SqlIncidents(store.engine), now)
        finally:
            store.close()
    except PerfAlertsError as error:
        yield Finding(
            where="alert store",
            what=str(error),
            mend="`perf-alerts migrate` brings it to this version; else see its disk or server",
        )


def _locations(port: int) -> Iterator[Finding]:
    where = f"web UI http://127.0.0.1:{port}"
    try:
        workspace = asyncio.run(_workspace(port))
    except SchedulerError:
        yield Finding(
            where=where,
            what="does not answer",
            mend="start the stack: `perf-alerts up`; its log is <state>/logs/webserver.log",
        )
        return
    for entry in workspace.get("locationEntries") or []:
        loaded = entry.get("locationOrLoadError") or {}
        if loaded.get("__typename") == "PythonError":
            first = str(loaded.get("message", "")).strip().splitlines()[:1]
            yield Finding(
                where=f"code location {entry.get('name')}",
                what=f"does not load: {first[0] if first else 'no reason given'}",
                mend="`perf-alerts check` names a wrong setting; else see <state>/logs/",
            )


async def _workspace(port: int) -> Mapping[str, Any]:
    async with connected(port, Budgets(connect=_SECONDS, read=_SECONDS)) as client:
        answer = await client.ask(documents.LOCATIONS, {})
    return answer.get("workspaceOrError") or {}


def _instance(settings: Settings, now: datetime, *, mend: bool) -> Iterator[Finding]:
    import dagster as dg

    from perf_alerts_dagster.scheduler.run_lock import is_dead

    home = prepare_home(settings)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield from findings.daemon(instance, now)
        yield from findings.sweeper(instance)
        yield from findings.runs(instance, now, lambda run: is_dead(settings.state_dir, run))
        if mend:
            findings.mend_clock(instance, now)
        yield from findings.clock(instance, now)
