"""Names that the code location and those who ask Dagster about it share; none ever changes."""

LOCATION = "perf_alerts"
DEFINITIONS = "perf_alerts_dagster.definitions"
SENSOR = "watch"

# Run tags.
ALERT = "perf_alerts/alert"
AS_OF = "perf_alerts/as_of"
TRIGGERED_BY = "perf_alerts/triggered_by"
ATTEMPTS = "perf_alerts/attempts"
ERROR = "perf_alerts/error"
OUTCOME = "perf_alerts/outcome"
REQUEST_ID = "perf_alerts/request_id"
MARKER = "perf_alerts/marker"

# Partitions reach back this far; an older as-of date is still judged by `perf-alerts evaluate`.
FIRST_PARTITION = "2000-01-01"


def schedule_name(alert: str) -> str:
    """The schedule of an alert; stored toggles hang on its name."""
    return f"{alert}_schedule"
