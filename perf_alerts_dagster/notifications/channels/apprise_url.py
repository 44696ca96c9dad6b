"""Every other service through Apprise: Slack, Telegram, Opsgenie, SMS and so on."""

import re
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.channels.page import page_action, page_key, test_key
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message

if TYPE_CHECKING:
    from apprise import NotifyBase

# Look-alikes of the characters of mentions and tags, since strategy names are untrusted.
_LOOK_ALIKES = str.maketrans({"<": "‹", ">": "›", "@": "＠", "`": "ˋ"})
# What makes a link of a pair of brackets; those of [CRITICAL] stay, for rules of the receiver.
_LINK = re.compile(r"\](?=[(\[:])")
_MAIL = frozenset({"mailto", "mailtos"})
# What of a page's actions Apprise has for Opsgenie; a new alert is of its severity.
_ACTIONS = {"trigger": None, "resolve": "success"}
_TYPES = {"info": "info", "warning": "warning", "critical": "failure", "emergency": "failure"}


@dataclass(eq=False, repr=False)
class AppriseChannel(Channel):
    """A channel to one Apprise URL. The URL is a secret: only its scheme is shown."""

    plugin: "NotifyBase"
    _: KW_ONLY
    name: str
    minimum: Severity
    addresses: Addresses
    outgoing: Outgoing = field(default_factory=Outgoing)
    is_pager: bool = False

    def __repr__(self) -> str:
        return f"AppriseChannel({self.name})"

    def send(self, message: Message) -> None:
        """Send it as plain text; Apprise gives no cause, so that every failure is retried.

        Opsgenie gets an alert for each event. A pager is for events: it gets no digest, unless it
        is to get everything.
        """
        if message.kind == "digest" and self.is_pager and self.minimum is not Severity.INFO:
            return
        if self._scheme == "opsgenie":
            self._send_alerts(message)
        else:
            self._notify(message.subject, message, _type(message))

    def _send_alerts(self, message: Message) -> None:
        """Open and close alerts under the keys of their events, which Opsgenie drops if known."""
        alerts = [
            (page_key(event, message), event.title, _ACTIONS[action] or _TYPES[event.severity])
            for event in message.events
            if (action := page_action(event, message)) in _ACTIONS
        ]
        if not message.events:
            # Information alone opens no alert.
            alerts = [(test_key(message), message.subject, kind) for kind in ("warning", "success")]
        for self.plugin.alias, title, kind in alerts:  # type: ignore[attr-defined]
            self._notify(title, message, kind)

    def _notify(self, title: str, message: Message, notify_type: str) -> None:
        from apprise import NotifyFormat

        from perf_alerts_dagster.notifications.channels.guard import guarded

        text = message.text
        if self._scheme not in _MAIL:
            title, text = harmless(title), harmless(text)
        # Declared as plain text, so that Apprise escapes it where it sends HTML.
        with guarded(self.outgoing, self._reachable()):
            is_sent = self.plugin.notify(
                title=title, body=text, body_format=NotifyFormat.TEXT, notify_type=notify_type
            )
        if not is_sent:
            raise DeliveryFailed(
                f"{self._scheme} did not accept it; try `perf-alerts test-channel`"
            )

    @property
    def _scheme(self) -> str:
        protocols = (self.plugin.secure_protocol, self.plugin.protocol)
        scheme = protocols[0] if self.plugin.secure else protocols[1] or protocols[0]
        return str(scheme if isinstance(scheme, str) else next(iter(scheme or ("apprise",))))

    def _reachable(self) -> frozenset[str] | None:
        """The private addresses that it may connect to; None for all, as the settings name it.

        Raises:
            DeliveryFailed: its server is in a private network, and the settings do not name it.
        """
        host, proxy = own_host(self.plugin), self.outgoing.proxy
        if host is not None and self.addresses.is_allowed(host):
            return None
        if host is not None:
            is_proxied = proxy is not None and self._scheme not in _MAIL
            self.addresses.checked(host, 443, proxied=is_proxied)
        if proxy is None:
            return frozenset()
        split = urlsplit(proxy)
        return frozenset(self.addresses.addresses(split.hostname or "", split.port or 443))


def harmless(text: str) -> str:
    """The text without anything that a chat reads as a mention, a link or a tag."""
    return _LINK.sub("] ", text.translate(_LOOK_ALIKES))


def own_host(plugin: "NotifyBase") -> str | None:
    """The server that a URL names; None for a service with an address known to Apprise."""
    smtp: object = getattr(plugin, "smtp_host", None)
    if isinstance(smtp, str) and smtp:
        return smtp
    templates: tuple[str, ...] = plugin.templates
    is_named = any("{host}" in template for template in templates)
    return plugin.host if is_named and isinstance(plugin.host, str) else None


def _type(message: Message) -> str:
    """The kind of a message in Apprise's words, from which services choose their colour."""
    if message.is_good_news:
        return "success"
    incidents = message.payload.get("incidents")
    worst = incidents[0] if isinstance(incidents, list) and incidents else None
    return _TYPES[str(worst["severity"])] if isinstance(worst, dict) else "info"
