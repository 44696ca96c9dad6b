"""Every other service through Apprise: mail, Slack, Telegram, PagerDuty and so on."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message

if TYPE_CHECKING:
    from apprise import NotifyBase

# Look-alikes of the characters of mentions, links and tags, since strategy names are untrusted.
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "@": "＠", "[": "［", "]": "］", "`": "ˋ"})
_MAIL = frozenset({"mailto", "mailtos"})
# Where plugins of Apprise keep their targets.
_TARGETS = ("targets", "channels", "topics", "rooms", "groups", "users", "devices", "phone")


@dataclass(eq=False, repr=False)
class AppriseChannel(Channel):
    """A channel to one Apprise URL. The URL is a secret: only its scheme is shown."""

    plugin: "NotifyBase"
    _: KW_ONLY
    name: str
    minimum: Severity
    addresses: Addresses
    outgoing: Outgoing = field(default_factory=Outgoing)

    def __repr__(self) -> str:
        return f"Apprised({self.name})"

    def send(self, message: Message) -> None:
        """Send it as plain text; Apprise gives no cause, so that every failure is retried."""
        from apprise import NotifyFormat

        from perf_alerts_dagster.notifications.channels.guard import guarded

        is_mail = self._scheme in _MAIL
        subject, text = message.subject, message.text
        if not is_mail:
            subject, text = subject.translate(_HARMLESS), text.translate(_HARMLESS)
        # Declared as plain text, so that Apprise escapes it where it sends HTML.
        with guarded(self.outgoing, self._reachable()):
            is_sent = self.plugin.notify(
                title=subject,
                body=text,
                body_format=NotifyFormat.TEXT,
                notify_type=_TYPES[_worst(message)],
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


_TYPES = {"info": "info", "warning": "warning", "critical": "failure", "emergency": "failure"}


def split_targets(make: Callable[[], "NotifyBase"]) -> list["NotifyBase"]:
    """One plugin per target of a URL, so that a target that took a message never gets it again.

    `make` makes the URL's plugin. Services that send to all targets in one request stay whole.
    """
    plugin = make()
    copies = {*getattr(plugin, "cc", ()), *getattr(plugin, "bcc", ())}
    targets = _listed(plugin, "targets")
    if copies and targets:
        known = set(map(str, targets))
        pairs = [(False, copy) if isinstance(targets[0], tuple) else copy for copy in copies]
        targets += sorted((pair for pair in pairs if str(pair) not in known), key=str)
    lists = {name: found for name in _TARGETS if (found := _listed(plugin, name))}
    count = sum(map(len, lists.values()))
    if count < 2 or (count != len(plugin) and not copies):
        return [plugin]
    plugins = []
    for name, found in lists.items():
        for target in found:
            single = make()
            for other in lists:
                setattr(single, other, [target] if other == name else [])
            if copies:
                single.cc, single.bcc = set(), set()  # type: ignore[attr-defined]
            plugins.append(single)
    return plugins


def _listed(plugin: "NotifyBase", name: str) -> list[object]:
    value: object = getattr(plugin, name, None)
    return value if isinstance(value, list) else []


def own_host(plugin: "NotifyBase") -> str | None:
    """The server that a URL names; None for a service with an address known to Apprise."""
    smtp: object = getattr(plugin, "smtp_host", None)
    if isinstance(smtp, str) and smtp:
        return smtp
    templates: tuple[str, ...] = plugin.templates
    is_named = any("{host}" in template for template in templates)
    return plugin.host if is_named and isinstance(plugin.host, str) else None


def _worst(message: Message) -> str:
    incidents = message.payload.get("incidents")
    if isinstance(incidents, list) and incidents and isinstance(incidents[0], dict):
        return str(incidents[0]["severity"])
    return "info"
