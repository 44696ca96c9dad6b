"""Names of the run tags and asset keys that this project writes."""

import dagster as dg

ALERT = "perf_alerts/alert"
AS_OF = "perf_alerts/as_of"
TRIGGERED_BY = "perf_alerts/triggered_by"
ATTEMPTS = "perf_alerts/attempts"
ERROR = "perf_alerts/error"
OUTCOME = "perf_alerts/outcome"

# Partitions reach back this far; an older as-of date is still judged by `perf-alerts evaluate`.
FIRST_PARTITION = "2000-01-01"


def judged_asset(alert: str) -> dg.AssetKey:
    """The asset whose partitions are the sessions that `alert` has judged."""
    return dg.AssetKey(["performance_alerts", alert])
