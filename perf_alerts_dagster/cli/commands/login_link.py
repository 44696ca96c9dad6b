"""`perf-alerts login-link`: a link that logs one person in, once."""

from datetime import UTC, datetime, timedelta

import click

from perf_alerts_dagster.cli.session import change_of, desk_clock, open_identity_stores
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.urls import LOGIN_LINK
from perf_alerts_dagster.core.wording import counted


@click.command()
def login_link() -> None:
    """Print a link that logs a browser in once, within ten minutes, and opens the desk.

    It is for the holder of the first admin key of the settings, or else of an operator's or a
    viewer's. `up` prints one by itself where its output is a terminal.
    """
    from perf_alerts_dagster.identity.keys import key_for_links
    from perf_alerts_dagster.identity.login_links import LIFETIME
    from perf_alerts_dagster.settings import load_settings
    from perf_alerts_dagster.settings.urls import origin_at

    settings = load_settings()
    key = key_for_links(settings)
    if key is None:
        raise UsageError(
            "ALERT_AUTH_ENABLED is false, or the settings hold no key of an admin, an operator or "
            "a viewer: there is nobody whom a link could log in"
        )
    now = datetime.now(UTC)
    with open_identity_stores() as stores:
        change = change_of("create_login_link", f"login_links/{key.user_id}", now)
        token = stores.login_links.issue(key, change)
    base = settings.public_url or origin_at(settings.proxy_host, settings.proxy_port)
    # Not through rich: a line that is folded cannot be copied.
    click.echo(f"{base}{LOGIN_LINK}{token}")
    within = counted(LIFETIME // timedelta(minutes=1), "minute")
    until = desk_clock().at(now + LIFETIME)
    click.echo(f"logs you in as {key.user_id}: once, within {within} (until {until})")
