"""The sensor that keeps things going, over a real Dagster instance and a real store."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from perf_alerts_dagster.bootstrap.notifications import open_incidents
from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.defs.build import build_definitions
from perf_alerts_dagster.incidents.lifecycle import Incidents
from perf_alerts_dagster.incidents.model import Incident, Resolution, Status
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.scheduler.names import ERROR, SENSOR
from perf_alerts_dagster.settings import Settings, load_settings

DAILY = "daily_pnl_check"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = load_settings({"ALERT_STATE_DIR": str(tmp_path / "state")}, None)
    migrate_store(made)
    return made


@pytest.fixture
def desk(settings: Settings) -> Iterator[Incidents]:
    store = open_store(store_url(settings))
    yield open_incidents(settings, store.engine)
    store.close()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def tick(settings: Settings, instance: dg.DagsterInstance) -> dg.SensorResult:
    sensor = build_definitions(settings).get_repository_def().get_sensor_def(SENSOR)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    with dg.build_sensor_context(instance=instance) as context:
        return sensor.evaluate_tick(context)  # type: ignore[return-value]


def a_failed_run(instance: dg.DagsterInstance, error: str) -> str:
    run_id = dg.DagsterRun(job_name=DAILY).run_id
    instance.add_run(
        dg.DagsterRun(
            job_name=DAILY,
            run_id=run_id,
            status=dg.DagsterRunStatus.FAILURE,
            tags={ERROR: error},
        )
    )
    return run_id


def failures(desk: Incidents) -> list[Incident]:
    return list(desk.store.incidents(IncidentFilter(rule="execution_failed")).incidents)


def test_a_quiet_tick_says_what_it_did(settings: Settings, instance: dg.DagsterInstance) -> None:
    said = tick(settings, instance).skip_message  # type: ignore[attr-defined]

    assert said == (
        "orphaned runs: 0; executions missed: 0; messages: 0 sent, 0 to be tried again, 0 given up"
    )


def test_a_failed_run_is_one_incident_however_often_it_is_seen(
    settings: Settings, instance: dg.DagsterInstance, desk: Incidents
) -> None:
    run_id = a_failed_run(instance, "RecordsUnavailable: the disk is gone")

    tick(settings, instance)
    tick(settings, instance)

    (one,) = failures(desk)
    assert (one.run_id, one.breaches, one.status) == (run_id, 1, Status.OPEN)
    assert "the disk is gone" in one.message


def test_a_failure_that_was_resolved_by_a_person_is_not_opened_again(
    settings: Settings, instance: dg.DagsterInstance, desk: Incidents
) -> None:
    a_failed_run(instance, "RecordsUnavailable: the disk is gone")
    tick(settings, instance)
    (one,) = failures(desk)
    desk.lifecycle.resolve(one.id, by="ann", now=datetime.now(UTC), outcome=Resolution.KNOWN)
    tick(settings, instance)

    assert [one.status for one in failures(desk)] == [Status.RESOLVED]


def test_the_next_failure_is_counted_in_the_same_incident(
    settings: Settings, instance: dg.DagsterInstance, desk: Incidents
) -> None:
    a_failed_run(instance, "first")
    tick(settings, instance)
    second = a_failed_run(instance, "second")
    tick(settings, instance)

    (one,) = failures(desk)
    assert (one.run_id, one.breaches) == (second, 2)
