"""Bring the sensor back after the clock was set back: Dagster waits until its last tick is over.

Run as `python -m perf_alerts_dagster.defs.sensor_ticks` with the stack's DAGSTER_HOME.
"""

from datetime import UTC, datetime

import dagster as dg

from perf_alerts_dagster.scheduler.dagster_internals import InstigatorType, SensorInstigatorData
from perf_alerts_dagster.scheduler.limits import SKEW


def forget_future_ticks(instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Let sensors whose last tick is in the future tick at once; returns their names."""
    names = []
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        data = state.instigator_data
        if not isinstance(data, SensorInstigatorData):
            continue
        newest = max(data.last_tick_timestamp or 0.0, data.last_tick_start_timestamp or 0.0)
        if newest > (now + SKEW).timestamp():
            fresh = data._replace(last_tick_timestamp=None, last_tick_start_timestamp=None)
            instance.update_instigator_state(state.with_data(fresh))
            names.append(state.instigator_name)
    return names


if __name__ == "__main__":
    with dg.DagsterInstance.get() as opened:
        forget_future_ticks(opened, datetime.now(UTC))
