"""Moved to `perf_alerts_dagster.stack.webserver`, for supervisors of the previous version."""

from runpy import run_module

if __name__ == "__main__":
    run_module("perf_alerts_dagster.stack.webserver", run_name="__main__")
