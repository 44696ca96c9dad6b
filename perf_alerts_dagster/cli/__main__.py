"""`python -m perf_alerts_dagster.cli`, the same as `perf-alerts`."""

from perf_alerts_dagster.cli.main import main

main()
