"""Opens channels from the URLs of the settings; connects to none before a message is sent."""

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from perf_alerts_dagster.core.errors import SettingsError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.urls import ENCODE
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.apprise_url import AppriseChannel
from perf_alerts_dagster.notifications.channels.mail import Mail, is_mail
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.channels.pagerduty import PagerDuty
from perf_alerts_dagster.notifications.channels.targets import split_targets
from perf_alerts_dagster.notifications.channels.webhook import Webhook
from perf_alerts_dagster.notifications.delivery import Channel

if TYPE_CHECKING:
    from apprise import NotifyBase

# A routing key without the key of Apprise's own form, which Events API v2 does not need.
_KEY_ALONE = re.compile("^(pagerduty://[^@/?#]+)([/?#]|$)", re.IGNORECASE)
_INTAKES = {
    "us": "https://events.pagerduty.com/v2/enqueue",
    "eu": "https://events.eu.pagerduty.com/v2/enqueue",
}
# Services that wake somebody, by Apprise's names: on-call services, and text messages by phone.
_PAGERS = """
betterstack dapnet firehydrant goalert goalerts ilert incidentio jira lfg opsgenie pagerduty
pagertree signl4 spike splunk squadcast victorops xmatters
46elks atalk bulksms bulkvs burstsms clickatell clicksend cm d7sms eight00com elks exotel
freemobile httpsms infobip kaleyra kavenegar klr kudosity mobilemessage mobilemsg msg91 msgbird
nexmo notifyre octopush plivo ringc serwersms seven sfr sinch smpp smpps smsc smseagle smseagles
smsmanager smsmgr smstunnel sns telesign telnyx twilio voipms vonage
"""
PAGERS = frozenset(_PAGERS.split())

# The incident's plot as PNG; None where there is none.
PictureOf = Callable[[str], bytes | None]


def open_channels(
    urls: Sequence[str],
    *,
    variable: str,
    secret: str | None,
    addresses: Addresses,
    outgoing: Outgoing | None = None,
    picture_of: PictureOf = lambda incident_id: None,
) -> tuple[Channel, ...]:
    """The channels of the URLs, in their order: one for each target of each URL.

    `min_severity=info|warning|critical|emergency` in a URL's query sets the channel's minimum
    severity and is removed; without it pagers have `critical`, others `info`. `https` and `http`
    URLs are the JSON webhook, `mailto(s)` and `pagerduty` our own, others Apprise's. `picture_of`
    gives the plots for mails.

    Raises:
        SettingsError: a URL is invalid. The text names `variable`, never the URL.
    """
    opener = _Opener(
        secret=secret,
        addresses=addresses,
        outgoing=outgoing or Outgoing(),
        picture_of=picture_of,
    )
    channels = [
        channel
        for position, url in enumerate(urls, start=1)
        for channel in opener.open(url, f"{variable}: URL {position}")
    ]
    return tuple({channel.name: channel for channel in channels}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opener:
    """Opens the channels of one URL; `where` names it in errors."""

    secret: str | None
    addresses: Addresses
    outgoing: Outgoing
    picture_of: PictureOf

    def open(self, url: str, where: str) -> list[Channel]:
        url, severity = _taken(url, "min_severity")
        try:
            parts = urlsplit(url)
            scheme, host = parts.scheme.lower(), parts.hostname
            # In the place of a port other services have tokens.
            is_sound = scheme not in ("https", "http") or (bool(host) and parts.port != 0)
        except ValueError as error:
            raise SettingsError(f"{where} {ENCODE}") from error
        minimum = Severity.CRITICAL if scheme in PAGERS else Severity.INFO
        if severity is not None:
            names = [each.value for each in Severity]
            if severity not in names:
                raise SettingsError(f"{where} has a min_severity of none of: {', '.join(names)}")
            minimum = Severity(severity)
        if scheme in ("https", "http"):
            if not is_sound or parts.username is not None or parts.password is not None:
                raise SettingsError(f"{where} needs a host, and no user or password")
            name = f"webhook:{host}:{_digest(url)}"
            return [Webhook(url, name=name, minimum=minimum, secret=self.secret, **self._ways)]
        if scheme == "pagerduty":
            return [self._pager(url, where, minimum)]
        plugins = split_targets(lambda: _plugin(url, where))
        # With one target the name that it always had, since stored messages name it.
        names = [url] if len(plugins) == 1 else [f"{url} {n}" for n in range(len(plugins))]
        return [
            self._apprised(plugin, f"{scheme}:{_digest(name)}", minimum)
            for plugin, name in zip(plugins, names, strict=True)
        ]

    @property
    def _ways(self) -> dict[str, Any]:
        return {"addresses": self.addresses, "outgoing": self.outgoing}

    def _apprised(self, plugin: "NotifyBase", name: str, minimum: Severity) -> Channel:
        if is_mail(plugin):
            return Mail(
                plugin, name=name, minimum=minimum, picture_of=self.picture_of, **self._ways
            )
        is_pager = name.partition(":")[0] in PAGERS
        return AppriseChannel(plugin, name=name, minimum=minimum, is_pager=is_pager, **self._ways)

    def _pager(self, url: str, where: str, minimum: Severity) -> PagerDuty:
        """`pagerduty://KEY?base=https://host/path`, or Apprise's form with a key of its API."""
        rest, base = _taken(url, "base")
        plugin: Any = _plugin(_KEY_ALONE.sub(r"\1@unused\2", rest), where)
        if base is not None:
            _check_base(base, where)
        fields = {
            "component": plugin.component,
            "group": plugin.group,
            "class": plugin.class_id,
        }
        defaults = {"component": plugin.template_tokens["component"]["default"]}
        return PagerDuty(
            base or _INTAKES[plugin.region_name],
            name=f"pagerduty:{_digest(url)}",
            minimum=minimum,
            routing_key=plugin.integration_key,
            fields={
                name: value
                for name, value in fields.items()
                if value and value != defaults.get(name)
            },
            details=plugin.details,
            **self._ways,
        )


def _check_base(base: str, where: str) -> None:
    try:
        parts = urlsplit(base)
        is_sound = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound or "@" in parts.netloc:
        raise SettingsError(
            f"{where} has a base that is none: an https URL is accepted, without user and password"
        )


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


def _taken(url: str, name: str) -> tuple[str, str | None]:
    """The URL without a parameter of its query, and the parameter's value."""
    match = re.search(rf"[?&]{name}=([^&]*)", url)
    if match is None:
        return url, None
    rest = url[: match.start()] + url[match.end() :]
    if match[0].startswith("?") and rest[match.start() : match.start() + 1] == "&":
        rest = f"{rest[: match.start()]}?{rest[match.start() + 1 :]}"
    return rest, unquote(match[1])
