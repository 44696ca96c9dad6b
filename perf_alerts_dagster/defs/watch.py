"""The sensor that keeps things going between executions; it launches nothing by itself.

It ends runs whose process is gone, reports executions that failed or never came, lets time do
its work on incidents, silences and paused schedules, and sends what waits to go.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from perf_alerts_dagster.defs.dead import end_dead_runs
from perf_alerts_dagster.defs.overdue import failed_runs, overdue
from perf_alerts_dagster.settings import Settings

if TYPE_CHECKING:
    from perf_alerts_dagster.application.tending import Tending

LOG = logging.getLogger(__name__)

NAME = "watch"
_SECONDS = 30
# Within the 60 s that Dagster gives a sensor.
_DRAIN_SECONDS = 20.0
# After an outage the scheduler and this sensor start together: its late tick comes first.
_PATIENCE = timedelta(seconds=90)

Opened = Callable[[], "Tending"]


def build_watch(settings: Settings, opened: Opened | None = None) -> dg.SensorDefinition:
    """The sensor.

    Args:
        settings: What the code location is built from.
        opened: Opens the sweeper, once; the real one where None.
    """
    kept: list[Tending] = []

    def tending() -> "Tending":
        if not kept:
            kept.append((opened or _real(settings))())
        return kept[0]

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Ends runs whose process was killed (Dagster then runs them again); reports failed "
            "and missed executions; escalates, repeats and closes incidents; ends silences and "
            "pauses; sends what waits."
        ),
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = datetime.now(UTC)
        ended = end_dead_runs(context.instance, settings.state_dir, now)
        for run_id in ended:
            context.log.warning("the process of run %s is gone; the run is ended", run_id)
        late = overdue(context.instance, settings.timezone, now)
        missed, cursor = _missed(late, context.cursor, now)

        def faults() -> None:
            lifecycle = tending().desk.lifecycle
            for run in failed_runs(context.instance):
                lifecycle.failed(run.alert, run_id=run.run_id, error=run.error, now=now)
            for alert, due_at in missed.items():
                lifecycle.missed(alert, due_at=due_at, now=now)

        drained = tending().tend(now, seconds=_DRAIN_SECONDS, faults=faults).drained
        words = f"runs whose process is gone: {len(ended)}; executions missed: {len(missed)}"
        words += "; another one sweeps" if drained is None else f"; messages: {drained}"
        return dg.SensorResult(skip_reason=dg.SkipReason(words), cursor=cursor)

    return watch


def _missed(
    late: Mapping[str, datetime], cursor: str | None, now: datetime
) -> tuple[dict[str, datetime], str]:
    """What has been late for long enough, and the cursor that remembers since when each is."""
    before = json.loads(cursor) if cursor else {}
    since = {}
    for alert, due_at in late.items():
        key = f"{alert} {due_at.isoformat()}"
        since[key] = min(before.get(key, now.timestamp()), now.timestamp())
    missed = {
        alert: due_at
        for alert, due_at in late.items()
        if now.timestamp() - since[f"{alert} {due_at.isoformat()}"] >= _PATIENCE.total_seconds()
    }
    return missed, json.dumps(since, sort_keys=True)


def _real(settings: Settings) -> Opened:
    def opened() -> "Tending":
        # Imported by the first tick: the store is heavy, and loading definitions must not be.
        from perf_alerts_dagster.adapters.store.store import open_store
        from perf_alerts_dagster.application.tending import SENSOR
        from perf_alerts_dagster.bootstrap.incidents import build_tending
        from perf_alerts_dagster.bootstrap.store import store_url

        return build_tending(settings, open_store(store_url(settings)).engine, owner=SENSOR)

    return opened
