"""The command group: errors become one clear line and an exit code."""

import logging
import sys
from importlib import import_module
from keyword import iskeyword

import click
from click.shell_completion import CompletionItem

from perf_alerts_dagster.core.errors import PerfAlertsError, SettingsError, UsageError
from perf_alerts_dagster.core.logs import handler

# The module of each command, in the order of the help. A module is imported when its command is
# used: a process that runs for months must not load the other commands' libraries.
_COMMANDS = {
    "up": "stack",
    "check": "check",
    "import": "import_record",
    "doctor": "stack",
    "status": "status",
    "run": "stack",
    "evaluate": "evaluate",
    "measure": "record",
    "strategies": "strategies",
    "budget": "budget",
    "thresholds": "thresholds",
    "limits": "limits",
    "events": "events",
    "incidents": "incidents",
    "silence": "silences",
    "test-channel": "test_channel",
    "keygen": "keygen",
    "keys": "keys",
    "login-link": "login_link",
    "audit": "audit",
    "proxy": "stack",
    "home": "stack",
    "migrate": "stack",
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
        commands = import_module(f"perf_alerts_dagster.cli.commands.{module}")
        # A name that is a keyword of Python has an underscore after it.
        name = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command: click.Command = getattr(commands, name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names; click itself would import the module of each."""
        names = [CompletionItem(name) for name in _COMMANDS if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success, 1 a finding or a failure, 2 wrong usage or settings.",
)
@click.version_option(package_name="perf-alerts")
def cli() -> None:
    """Notify a trading desk when a live strategy no longer performs as its history projects.

    Start with `perf-alerts up`: the whole stack over the bundled sample record. Then point
    ALERT_RECORDS_URL at your own records and run `perf-alerts check`.
    """


def main() -> None:
    """Run the command line; an error of this project is one line, not a traceback."""
    # Where a command sets up no log of its own.
    logging.lastResort = handler()
    logging.lastResort.setLevel(logging.WARNING)
    try:
        cli(prog_name="perf-alerts")
    except PerfAlertsError as error:
        click.echo(str(error), err=True)
        sys.exit(2 if isinstance(error, SettingsError | UsageError) else 1)
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe: nobody reads an error.
        sys.stderr.close()
        sys.exit(1)
