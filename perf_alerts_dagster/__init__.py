"""perf-alerts: notifies a desk when a live strategy stops performing as its history projects."""
