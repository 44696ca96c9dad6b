"""The command group: errors become one clear line and an exit code."""

import sys

import click

from perf_alerts_dagster.cli.archive import backup, restore
from perf_alerts_dagster.cli.channels import test_channel
from perf_alerts_dagster.cli.doctor import doctor
from perf_alerts_dagster.cli.evaluate import evaluate
from perf_alerts_dagster.cli.incidents import incidents
from perf_alerts_dagster.cli.keygen import keygen
from perf_alerts_dagster.cli.measure import measure
from perf_alerts_dagster.cli.proxy import proxy
from perf_alerts_dagster.cli.run import run
from perf_alerts_dagster.cli.settings import check
from perf_alerts_dagster.cli.silences import silence
from perf_alerts_dagster.cli.stack import home, migrate, up
from perf_alerts_dagster.cli.strategies import strategies
from perf_alerts_dagster.cli.thresholds import thresholds
from perf_alerts_dagster.domain.errors import PerfAlertsError, SettingsError, UsageError


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 something was found or failed, 2 wrong use or settings.",
)
@click.version_option(package_name="perf-alerts")
def cli() -> None:
    """Tell a desk when a live strategy no longer performs as its own history projects.

    Start with `perf-alerts up`: the whole stack over the bundled sample record. Then point
    ALERT_RECORDS_URL at your own records and let `perf-alerts check` say what is missing.
    """


for command in (
    up,
    check,
    doctor,
    run,
    evaluate,
    measure,
    strategies,
    thresholds,
    incidents,
    silence,
    test_channel,
    keygen,
    proxy,
    home,
    migrate,
    backup,
    restore,
):
    cli.add_command(command)


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
