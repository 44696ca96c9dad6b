"""The channels of the settings."""

from pydantic import SecretStr

from perf_alerts_dagster.adapters.channels.addresses import Addresses
from perf_alerts_dagster.adapters.channels.opening import open_channels as opened
from perf_alerts_dagster.application.delivery import Channel
from perf_alerts_dagster.settings import Settings
from perf_alerts_dagster.settings.urls import split_channels


def open_channels(settings: Settings) -> tuple[tuple[Channel, ...], tuple[Channel, ...]]:
    """The channels of notifications and those of escalations; nothing is connected yet.

    Raises:
        SettingsError: a URL is of a kind that nobody knows.
    """
    allowed = (settings.notify_allowed_hosts or "").lower().split(",")
    addresses = Addresses(allowed=frozenset(one.strip().rstrip(".") for one in allowed if one))
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None

    def of(urls: SecretStr | None, variable: str) -> tuple[Channel, ...]:
        single = split_channels(urls.get_secret_value()) if urls else ()
        return opened(single, variable=variable, secret=secret, addresses=addresses)

    return (
        of(settings.notify_urls, "ALERT_NOTIFY_URLS"),
        of(settings.escalation_urls, "ALERT_ESCALATION_URLS"),
    )


def open_all_channels(settings: Settings) -> tuple[Channel, ...]:
    """Every channel of the settings, once each; see `open_channels`."""
    normal, escalation = open_channels(settings)
    return tuple({one.name: one for one in (*normal, *escalation)}.values())
