"""`perf-alerts proxy`: the REST API alone, beside a Dagster that runs already."""

import click
from rich.markup import escape

from perf_alerts_dagster.cli.output import ERR
from perf_alerts_dagster.settings import load_settings, unknown_names


@click.command()
def proxy() -> None:
    """Serve the REST API alone, on ALERT_PROXY_HOST and ALERT_PROXY_PORT (8089).

    Dagster's webserver is asked on 127.0.0.1:ALERT_WEBSERVER_PORT. It keeps nothing of its own,
    so that several may run over one alert store. Ctrl-C or SIGTERM answers what is under way
    and stops it.
    """
    from perf_alerts_dagster.identity.keys import first_admin_key
    from perf_alerts_dagster.server.serve import run

    settings = load_settings()
    for warning in (*unknown_names(), *settings.warnings):
        ERR.print(f"[yellow]warning[/yellow]: {escape(warning)}", highlight=False)
    key = first_admin_key(settings)
    if key is not None:
        click.echo(f"an admin key, made now and shown once; only its hash is kept: {key}")
    run(settings)
