"""The server as a process: `python -m perf_alerts_dagster.server.serve`."""

import sys

from perf_alerts_dagster.core.errors import PerfAlertsError, SettingsError
from perf_alerts_dagster.http import server
from perf_alerts_dagster.server.app import create_app
from perf_alerts_dagster.settings import load_settings


def main() -> None:
    """Serve until a signal; an error is printed, with exit code 2 for settings, else 1."""
    try:
        settings = load_settings()
        server.run(settings, create_app(settings))
    except PerfAlertsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2 if isinstance(error, SettingsError) else 1)


if __name__ == "__main__":
    main()
