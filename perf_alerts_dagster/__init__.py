"""perf-alerts: tells a trading desk when a live strategy stops performing as its history projects."""
