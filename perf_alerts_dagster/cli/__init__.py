"""The front door for people: `perf-alerts ...`."""

from perf_alerts_dagster.cli.main import main

__all__ = ["main"]
