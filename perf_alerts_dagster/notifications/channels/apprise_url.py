"""Every other service through Apprise: mail, Slack, Telegram, PagerDuty and so on."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses, is_public
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message

if TYPE_CHECKING:
    from apprise import NotifyBase

# Look-alikes of the characters of mentions, links and tags, since strategy names are untrusted.
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "@": "＠", "[": "［", "]": "］", "`": "ˋ"})
_MAIL = frozenset({"mailto", "mailtos"})


@dataclass(eq=False, repr=False)
class AppriseChannel(Channel):
    """A channel to one Apprise URL. The URL is a secret: only its scheme is shown."""

    plugin: "NotifyBase"
    _: KW_ONLY
    name: str
    minimum: Severity
    addresses: Addresses

    def __repr__(self) -> str:
        return f"Apprised({self.name})"

    def send(self, message: Message) -> None:
        """Send it as plain text; Apprise gives no cause, so that every failure is retried."""
        from apprise import NotifyFormat

        self._check_host()
        is_mail = self._scheme in _MAIL
        subject, text = message.subject, message.text
        if not is_mail:
            subject, text = subject.translate(_HARMLESS), text.translate(_HARMLESS)
        # Declared as plain text, so that Apprise escapes it where it sends HTML.
        if not self.plugin.notify(
            title=subject,
            body=text,
            body_format=NotifyFormat.TEXT,
            notify_type=_TYPES[_worst(message)],
        ):
            raise DeliveryFailed(
                f"{self._scheme} did not accept it; try `perf-alerts test-channel`"
            )

    @property
    def _scheme(self) -> str:
        protocols = (self.plugin.secure_protocol, self.plugin.protocol)
        scheme = protocols[0] if self.plugin.secure else protocols[1] or protocols[0]
        return str(scheme if isinstance(scheme, str) else next(iter(scheme or ("apprise",))))

    def _check_host(self) -> None:
        """Refuse a server in a private network, unless the settings name it."""
        host = own_host(self.plugin)
        if host is None or self.addresses.is_allowed(host):
            return
        if not all(is_public(address) for address in self.addresses.addresses(host, 443)):
            raise DeliveryFailed(
                "the server has an address that is not on the open internet; it is accepted "
                "where ALERT_NOTIFY_ALLOWED_HOSTS names it",
                permanent=True,
            )


_TYPES = {"info": "info", "warning": "warning", "critical": "failure", "emergency": "failure"}


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
