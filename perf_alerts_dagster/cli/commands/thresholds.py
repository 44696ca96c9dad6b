"""`perf-alerts thresholds`: see and set the limits of a running system, over its REST API."""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import IO, Any

import click

from perf_alerts_dagster.cli.output import print_json
from perf_alerts_dagster.settings import load_settings

_PATH = "/config/thresholds"


@click.group()
def thresholds() -> None:
    """See and set the limits of a running system, versioned and audited.

    It asks the REST API of this machine's settings; the key comes from PERF_ALERTS_KEY and needs
    the permission alert:configure.
    """


_KEY = click.option(
    "--key",
    envvar="PERF_ALERTS_KEY",
    show_envvar=True,
    required=True,
    help="An admin key.",
)
_URL = click.option(
    "--url", default=None, help="Scheme, host and port of the REST API; default: the settings'."
)


@thresholds.command()
@_KEY
@_URL
def show(key: str, url: str | None) -> None:
    """Print the limits in force and their version, as JSON."""
    print_json(asyncio.run(_call("GET", key, url)))


@thresholds.command(name="set")
@click.argument("file", type=click.File(encoding="utf-8"))
@_KEY
@_URL
def set_(file: IO[str], key: str, url: str | None) -> None:
    """Set the limits from a JSON FILE (- for standard input); the next evaluation uses them.

    The JSON has the shape of ALERT_THRESHOLDS, and replaces the limits that were set before. With
    a `version` in it, it is refused where somebody has set others since.

    \b
    echo '{"default": {"drawdown_warning": 0.06}}' | perf-alerts thresholds set -
    """
    try:
        content = json.load(file)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"no JSON: {error}", param_hint="FILE") from error
    print_json(asyncio.run(_call("PUT", key, url, json=content)))


async def _call(method: str, key: str, url: str | None, **more: object) -> Mapping[str, Any]:
    from perf_alerts_dagster.api.client import AlertsClient, ApiError

    settings = load_settings()
    at = url or f"http://{settings.proxy_host}:{settings.proxy_port}"
    async with AlertsClient(at, api_key=key, header=settings.api_key_header) as client:
        try:
            return await client.call(method, _PATH, **more)  # type: ignore[arg-type] # JSON
        except ApiError as error:
            click.echo(str(error), err=True)
            sys.exit(1)
