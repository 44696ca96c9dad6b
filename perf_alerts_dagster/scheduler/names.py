"""Names that the code location and those who ask Dagster about it share; none ever changes."""

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

# Tags of runs. The last is Dagster's own: the as-of date that was asked for.
ALERT = "perf_alerts/alert"
AS_OF = "perf_alerts/as_of"
TRIGGERED_BY = "perf_alerts/triggered_by"
ATTEMPTS = "perf_alerts/attempts"
ERROR = "perf_alerts/error"
OUTCOME = "perf_alerts/outcome"
REQUEST_ID = "perf_alerts/request_id"
MARKER = "perf_alerts/marker"
PARTITION = "dagster/partition"


def schedule_name(alert: str) -> str:
    """The schedule of an alert; stored toggles hang on its name."""
    return f"{alert}_schedule"
