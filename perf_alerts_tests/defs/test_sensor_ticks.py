"""A clock that was ahead and is right again does not silence the sensor."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from perf_alerts_dagster.defs.sensor_ticks import forget_future_ticks
from perf_alerts_dagster.scheduler.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
)
from perf_alerts_dagster.scheduler.names import SENSOR

NOW = datetime(2026, 1, 30, 17, tzinfo=UTC)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def ticked(instance: dg.DagsterInstance, at: datetime) -> SensorInstigatorData:
    """A sensor that is on, has a cursor, and ticked then."""
    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(), location_name="perf_alerts")
    repository = RemoteRepositoryOrigin(location, "__repository__")
    data = SensorInstigatorData(
        min_interval=30,
        cursor="seen",
        last_tick_timestamp=at.timestamp(),
        last_tick_start_timestamp=at.timestamp(),
    )
    origin = RemoteInstigatorOrigin(repository, SENSOR)
    instance.add_instigator_state(
        InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
    )
    return data


def stored(instance: dg.DagsterInstance) -> object:
    (state,) = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    assert state.status is InstigatorStatus.RUNNING
    return state.instigator_data


def test_a_tick_in_the_future_is_forgotten_and_the_cursor_is_kept(
    instance: dg.DagsterInstance,
) -> None:
    before = ticked(instance, NOW + timedelta(hours=1))

    assert forget_future_ticks(instance, NOW) == [SENSOR]

    fresh = before._replace(last_tick_timestamp=None, last_tick_start_timestamp=None)
    assert stored(instance) == fresh


def test_a_tick_of_the_past_stays(instance: dg.DagsterInstance) -> None:
    before = ticked(instance, NOW - timedelta(seconds=20))

    assert forget_future_ticks(instance, NOW) == []
    assert stored(instance) == before
