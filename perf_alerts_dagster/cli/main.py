"""The command group: errors become one clear line and an exit code."""

import sys
from importlib import import_module

import click

from perf_alerts_dagster.core.errors import PerfAlertsError, SettingsError, UsageError

# In the order of the help; each is imported when it is asked for: one that runs for months must
# not hold what the others need.
_COMMANDS = {
    "up": "up",
    "check": "check",
    "doctor": "doctor",
    "run": "run",
    "evaluate": "evaluate",
    "measure": "measure",
    "strategies": "strategies",
    "thresholds": "thresholds",
    "incidents": "incidents",
    "silence": "silences",
    "test-channel": "test_channel",
    "keygen": "keygen",
    "proxy": "proxy",
    "home": "up",
    "migrate": "up",
    "backup": "backup",
    "restore": "backup",
}


class _Commands(click.Group):
    """Commands by their module in this package; see "Lazily Loading Subcommands" of click."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        found = import_module(f"perf_alerts_dagster.cli.commands.{module}")
        command: click.Command = getattr(found, cmd_name.replace("-", "_"))
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 something was found or failed, 2 wrong use or settings.",
)
@click.version_option(package_name="perf-alerts")
def cli() -> None:
    """Tell a desk when a live strategy no longer performs as its own history projects.

    Start with `perf-alerts up`: the whole stack over the bundled sample record. Then point
    ALERT_RECORDS_URL at your own records and let `perf-alerts check` say what is missing.
    """


def main() -> None:
    """Run the command line; never show a traceback for an error that is ours."""
    try:
        cli()
    except PerfAlertsError as error:
        click.echo(str(error), err=True)
        sys.exit(2 if isinstance(error, SettingsError | UsageError) else 1)
    except BrokenPipeError:
        # The reader (head, less) went away: nothing is left to say.
        sys.stderr.close()
        sys.exit(1)
