"""Stable names shared by the code location and the clients of Dagster."""

# The code location, the one repository in it, and the module that it loads.
LOCATION = "perf_alerts"
REPOSITORY = "__repository__"
DEFINITIONS = "perf_alerts_dagster.definitions"
# The sensor that sweeps incidents, orphaned runs and missed executions.
SENSOR = "watch"
# Partitions reach back this far; an older as-of date is still judged by `perf-alerts evaluate`.
FIRST_PARTITION = "2000-01-01"
# The entry of a job's metadata that holds the public settings.
SETTINGS_LABEL = "settings"

# Tags of runs; PARTITION is Dagster's own: the requested as-of date.
ALERT = "perf_alerts/alert"
AS_OF = "perf_alerts/as_of"
TRIGGERED_BY = "perf_alerts/triggered_by"
ATTEMPTS = "perf_alerts/attempts"
ERROR = "perf_alerts/error"
OUTCOME = "perf_alerts/outcome"
NOTE = "perf_alerts/note"
REQUEST_ID = "perf_alerts/request_id"
MARKER = "perf_alerts/marker"
PARTITION = "dagster/partition"
# Those that belong to one run only, and not to one that repeats it.
OF_ONE_RUN = (AS_OF, TRIGGERED_BY, ATTEMPTS, ERROR, OUTCOME, NOTE, REQUEST_ID, MARKER)


def schedule_name(alert: str) -> str:
    """The name of an alert's schedule, by which Dagster stores whether it is on."""
    return f"{alert}_schedule"
