"""The front door for Dagster: `dagster dev`, the code server and `dagster job` load this."""

from perf_alerts_dagster.defs.build import build_definitions
from perf_alerts_dagster.settings import load_settings

defs = build_definitions(load_settings())
