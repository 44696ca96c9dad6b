"""`perf-alerts check`: check the settings and the record."""

import sys

import click
from rich.markup import escape

from perf_alerts_dagster.cli.output import ERR, OUT
from perf_alerts_dagster.settings import load_settings, unknown_names


@click.command()
def check() -> None:
    """Check every ALERT_* variable and read the record once; change nothing.

    All faults are listed together, each with the variable, its value (secrets masked) and what
    is accepted. Exit code 2 when a variable is wrong, 1 when the record has bad rows.
    """
    settings = load_settings()
    for warning in (*unknown_names(), *settings.warnings):
        ERR.print(f"[yellow]warning[/yellow]: {escape(warning)}", highlight=False)
    from perf_alerts_dagster.cli.records import note_faults, open_reading

    reading = open_reading(None, as_of=None).reading
    note_faults(reading)
    bad = len(reading.records.faults)
    OUT.print(
        f"settings are fine (version {settings.settings_version}); "
        f"{escape(reading.records.source)}: {len(reading.records.strategies)} strategies and "
        f"groups, newest session {reading.as_of}" + (f", {bad} with bad rows" if bad else "")
    )
    sys.exit(1 if bad else 0)
