"""`perf-alerts proxy`: the REST API, beside a Dagster that runs already."""

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from perf_alerts_dagster.cli.output import ERR
from perf_alerts_dagster.settings import Settings, load_settings, unknown_names

if TYPE_CHECKING:
    from fastapi import FastAPI


@click.command()
@click.option(
    "--documented-only",
    is_flag=True,
    help="Serve the documented endpoints only: auth and schedule, without pages, incidents, "
    "strategies, metrics and health, and without sweeping incidents.",
)
def proxy(documented_only: bool) -> None:
    """Serve the REST API alone, on ALERT_PROXY_HOST and ALERT_PROXY_PORT (8089).

    Dagster's webserver is asked on 127.0.0.1:ALERT_WEBSERVER_PORT. It keeps nothing of its own,
    so that several may run over one alert store. Ctrl-C or SIGTERM answers what is under way
    and stops it.
    """
    from perf_alerts_dagster.http import server
    from perf_alerts_dagster.identity.keys import first_admin_key

    settings = load_settings()
    for warning in (*unknown_names(), *settings.warnings):
        ERR.print(f"[yellow]warning[/yellow]: {escape(warning)}", highlight=False)
    key = first_admin_key(settings)
    if key is not None:
        click.echo(f"an admin key, made now and shown once; only its hash is kept: {key}")
    server.run(settings, _app(settings, documented_only=documented_only))


def _app(settings: Settings, *, documented_only: bool) -> "FastAPI":
    if documented_only:
        from perf_alerts_dagster.proxy import app as proxy_app

        return proxy_app.create_app(settings)
    from perf_alerts_dagster.server import app as server_app

    return server_app.create_app(settings)
