"""Keys of the assets that this project writes."""

import dagster as dg


def judged_asset(alert: str) -> dg.AssetKey:
    """The asset whose partitions are the sessions that `alert` has judged."""
    return dg.AssetKey(["performance_alerts", alert])
