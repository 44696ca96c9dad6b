"""The command `check`: the settings, and what the record holds."""

import sys

import click
from rich.markup import escape

from perf_alerts_dagster.cli import output
from perf_alerts_dagster.cli.commands.record import note_faults, read_source


@click.command()
def check() -> None:
    """Check every ALERT_* variable and read the record once; change nothing.

    All faults are listed together, each with the variable, its value (secrets masked) and what
    is accepted. Exit code 2 when a variable is wrong, 1 when the record has bad rows.
    """
    settings = output.settings_with_warnings()
    reading = read_source(None, as_of=None).reading
    note_faults(reading)
    bad = len(reading.records.faults)
    output.OUT.print(
        f"settings are fine (version {settings.settings_version}); "
        f"{escape(reading.records.source)}: {len(reading.records.strategies)} strategies and "
        f"groups, newest session {reading.as_of}" + (f", {bad} with bad rows" if bad else "")
    )
    sys.exit(1 if bad else 0)
