"""`perf-alerts test-channel`: send test messages to the channels."""

import sys
from datetime import UTC, datetime

import click
from rich.markup import escape

from perf_alerts_dagster.cli.output import ERR, OUT
from perf_alerts_dagster.settings import load_settings


@click.command(name="test-channel")
@click.argument("names", metavar="[NAME]...", nargs=-1)
def test_channel(names: tuple[str, ...]) -> None:
    """Send every channel, or those named, a message that says that it is a test.

    Channels are those of ALERT_NOTIFY_URLS and ALERT_ESCALATION_URLS. It needs no running stack.
    A pager gets a page that is resolved at once. Exit code 1 where a channel did not accept it.
    """
    from perf_alerts_dagster.bootstrap.notifications import open_all_channels
    from perf_alerts_dagster.notifications.delivery import try_channels
    from perf_alerts_dagster.notifications.messages import test_message

    settings = load_settings()
    channels = {channel.name: channel for channel in open_all_channels(settings)}
    if not channels:
        raise click.UsageError("no channel is configured: set ALERT_NOTIFY_URLS")
    unknown = sorted(set(names) - set(channels))
    if unknown:
        raise click.UsageError(
            f"no channel is called {', '.join(unknown)}; there are: {', '.join(channels)}"
        )
    wanted = [channel for name, channel in channels.items() if not names or name in names]
    message = test_message(datetime.now(UTC), public_url=settings.public_url)
    failed = False
    for result in try_channels(wanted, message):
        if result.error is None:
            is_pager = channels[result.channel].takes_answers
            what = " (a page, resolved at once)" if is_pager else ""
            OUT.print(f"[green]sent[/green]    {escape(result.channel)}{what}", soft_wrap=True)
        else:
            failed = True
            text = f"{escape(result.channel)}: {escape(result.error)}"
            ERR.print(f"[red]failed[/red]  {text}", soft_wrap=True)
    sys.exit(1 if failed else 0)
