"""The definitions of the code location, built from one settings value."""

from collections.abc import Iterator

import dagster as dg

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.defs.failures import Reporter, reporter
from perf_alerts_dagster.defs.jobs import PARTITIONS, Opener, build_job, judged_asset
from perf_alerts_dagster.defs.schedules import build_schedule
from perf_alerts_dagster.defs.sensors import build_sensor
from perf_alerts_dagster.scheduler import run_lock
from perf_alerts_dagster.settings import Settings


def build_definitions(
    settings: Settings,
    open_services: Opener | None = None,
    report_failure: Reporter | None = None,
) -> dg.Definitions:
    """A job and a schedule per alert, the sensor, and an asset that shows the judged sessions.

    Args:
        settings: The settings that everything is built from.
        open_services: Called once per attempt of a run; the real services where None.
        report_failure: Called once per run that failed for good; the real one where None.
    """
    opener = open_services or _real_services(settings)
    report = report_failure or reporter(settings)
    jobs = {alert.name: build_job(alert, settings, report) for alert in ALERTS}
    return dg.Definitions(
        jobs=list(jobs.values()),
        schedules=[build_schedule(alert, jobs[alert.name], settings) for alert in ALERTS],
        assets=[
            dg.AssetSpec(
                judged_asset(alert.name),
                description=f"Sessions judged by {alert.name}. {alert.description}",
                partitions_def=PARTITIONS,
                group_name="performance_alerts",
                kinds={"python"},
            )
            for alert in ALERTS
        ],
        sensors=[build_sensor(settings)],
        resources={"services": _services(opener, settings)},
    )


def _services(opener: Opener, settings: Settings) -> dg.ResourceDefinition:
    """The services of a run; its lock shows that its process runs, also between attempts."""

    @dg.resource(description="Opens the records, the store and the projections of an attempt.")
    def services(context: dg.InitResourceContext) -> Iterator[Opener]:
        if context.run is None:
            yield opener
            return
        with run_lock.hold(settings.state_dir, context.run.run_id):
            yield opener

    return services


def _real_services(settings: Settings) -> Opener:
    def open_services() -> object:
        # Imported by the run alone: the store and the record reader are heavy.
        from perf_alerts_dagster.bootstrap.executions import build_services

        return build_services(settings)

    return open_services
