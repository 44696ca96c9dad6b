"""Moved to `perf_alerts_dagster.api.client`; importable from here for one more version."""

from importlib import import_module


def __getattr__(name: str) -> object:
    # By name: the proxy is below the API, and imports nothing of it.
    return getattr(import_module("perf_alerts_dagster.api.client"), name)
