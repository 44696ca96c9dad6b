"""Opens channels from the URLs of the settings; connects to none before a message is sent."""

import hashlib
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.urls import ENCODE
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.apprise_url import AppriseChannel, split_targets
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.channels.webhook import Webhook
from perf_alerts_dagster.notifications.delivery import Channel

if TYPE_CHECKING:
    from apprise import NotifyBase

_MINIMUM = re.compile(r"[?&]min_severity=([^&]*)")


def open_channels(
    urls: Sequence[str],
    *,
    variable: str,
    secret: str | None,
    addresses: Addresses,
    outgoing: Outgoing | None = None,
) -> tuple[Channel, ...]:
    """The channels of the URLs, in their order: one for each target of each URL.

    `min_severity=info|warning|critical|emergency` in a URL's query sets the channel's minimum
    severity and is removed. `https` and `http` URLs are the JSON webhook, others Apprise's.

    Raises:
        SettingsError: a URL is invalid. The text names `variable`, never the URL.
    """
    outgoing = outgoing or Outgoing()
    channels = [
        channel
        for position, url in enumerate(urls, start=1)
        for channel in _open(url, f"{variable}: URL {position}", secret, addresses, outgoing)
    ]
    return tuple({channel.name: channel for channel in channels}.values())


def _open(
    url: str, where: str, secret: str | None, addresses: Addresses, outgoing: Outgoing
) -> list[Channel]:
    url, minimum = _routed(url, where)
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.hostname
        # In the place of a port other services have tokens.
        is_sound = scheme not in ("https", "http") or (bool(host) and parts.port != 0)
    except ValueError as error:
        raise SettingsError(f"{where} {ENCODE}") from error
    if scheme in ("https", "http"):
        if not is_sound or parts.username is not None or parts.password is not None:
            raise SettingsError(f"{where} needs a host, and no user or password")
        webhook = Webhook(
            url,
            name=f"webhook:{host}:{_digest(url)}",
            minimum=minimum,
            secret=secret,
            addresses=addresses,
            outgoing=outgoing,
        )
        return [webhook]
    plugins = split_targets(lambda: _plugin(url, where))
    return [
        AppriseChannel(
            plugin,
            # With one target the name that it always had, since stored messages name it.
            name=f"{scheme}:{_digest(url if len(plugins) == 1 else f'{url} {position}')}",
            minimum=minimum,
            addresses=addresses,
            outgoing=outgoing,
        )
        for position, plugin in enumerate(plugins)
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _plugin(url: str, where: str) -> "NotifyBase":
    # A slow import, and most processes send nothing.
    from apprise import Apprise, AppriseAsset

    # Apprise's own log contains URLs.
    logging.getLogger("apprise").disabled = True
    asset = AppriseAsset(app_id="perf-alerts", app_desc="perf-alerts", http_redirects=False)
    plugin = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if plugin is None:
        raise SettingsError(
            f"{where} is none that Apprise can read; accepted are https://... and the URLs of "
            "https://github.com/caronc/apprise/wiki; percent-encode a password"
        )
    return plugin


def _routed(url: str, where: str) -> tuple[str, Severity]:
    """The URL without `min_severity`, and the minimum severity."""
    match = _MINIMUM.search(url)
    if match is None:
        return url, Severity.INFO
    names = [severity.value for severity in Severity]
    if match[1] not in names:
        raise SettingsError(f"{where} has a min_severity of none of: {', '.join(names)}")
    rest = url[: match.start()] + url[match.end() :]
    if match[0].startswith("?") and rest[match.start() : match.start() + 1] == "&":
        rest = f"{rest[: match.start()]}?{rest[match.start() + 1 :]}"
    return rest, Severity(match[1])
