"""perf-alerts: tells a desk when a live strategy stops performing as its history projects."""
