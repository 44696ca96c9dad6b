"""Mail with the plots in it, its text for every program, in one thread per event."""

import hashlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from functools import partial
from typing import TYPE_CHECKING, Any

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.channels.smtp import Server
from perf_alerts_dagster.notifications.delivery import Channel
from perf_alerts_dagster.notifications.messages import Message

if TYPE_CHECKING:
    from apprise import NotifyBase

_LOG = logging.getLogger(__name__)
_NOW = partial(datetime.now, UTC)
_TOTAL_SECONDS = 10.0
# The right side of ids: of mails, and of events, which begin threads.
_DOMAIN = "perf-alerts"


@dataclass(eq=False, repr=False)
class Mail(Channel):
    """Mails to one recipient, by a URL that Apprise reads. The URL is a secret.

    Args:
        plugin: Apprise's reading of the URL, with one target.
        name: The channel's name, which shows no secret.
        minimum: The lowest severity of its messages.
        addresses: Which hosts may be connected to.
        outgoing: The trusted certificates.
        picture_of: The plot of an incident as PNG; None where there is none.
        clock: The time.
    """

    plugin: Any
    _: KW_ONLY
    name: str
    minimum: Severity
    addresses: Addresses
    outgoing: Outgoing = field(default_factory=Outgoing)
    picture_of: Callable[[str], bytes | None] = lambda incident_id: None
    clock: Callable[[], datetime] = _NOW

    def __repr__(self) -> str:
        return f"Mail({self.name})"

    def send(self, message: Message) -> None:
        """Send it, in at most 10 s; whoever took it never gets it again."""
        plugin, (_, recipient) = self.plugin, self.plugin.targets[0]
        host = plugin.smtp_host
        server = Server(
            host=host,
            port=plugin.port,
            mode=plugin.secure_mode,
            # Mail has ports of its own, which are not checked.
            addresses=self.addresses.checked(host, 443),
            context=self._context(),
            user=plugin.user,
            password=plugin.password,
        )
        server.send(self._mail(message), plugin.from_addr[1], recipient, seconds=_TOTAL_SECONDS)

    def _context(self) -> ssl.SSLContext:
        context = self.outgoing.trusted() or ssl.create_default_context()
        if not self.plugin.verify_certificate:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = _header(message.subject)
        mail["From"] = _address(*self.plugin.from_addr)
        mail["To"] = _address(*self.plugin.targets[0])
        if self.plugin.reply_to:
            names = self.plugin.names
            mail["Reply-To"] = [
                _address(names.get(each), each) for each in sorted(self.plugin.reply_to)
            ]
        mail["Date"] = self.clock()
        digest = hashlib.sha256(message.key.encode()).hexdigest()[:32]
        mail["Message-ID"] = f"<{digest}@{_DOMAIN}>"
        if message.events:
            # The first mail of an event answers no other, but programs join what answers the same.
            mail["In-Reply-To"] = mail["References"] = f"<{message.events[0].id}@{_DOMAIN}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Application"] = "perf-alerts"
        for name, value in {**_priority(message), **self.plugin.headers}.items():
            if name not in mail:
                mail[name] = _header(value)
        mail.set_content(_text(message.text), cte="quoted-printable")
        if message.html:
            self._add_html(mail, message)
        return mail

    def _add_html(self, mail: EmailMessage, message: Message) -> None:
        """Add the HTML beside the text, and the plots that belong in it."""
        found = {each: self._picture(each) for each in message.pictured}
        pictures = {each: picture for each, picture in found.items() if picture}
        html = message.html_with(pictures)
        for each in pictures:
            # An id without a domain is none for some programs.
            html = html.replace(f'"cid:{each}"', f'"cid:{each}@{_DOMAIN}"')
        mail.add_alternative(_text(html), subtype="html", cte="quoted-printable")
        part = list(mail.iter_parts())[-1]
        for each, picture in pictures.items():
            part.add_related(
                picture,
                "image",
                "png",
                cid=f"<{each}@{_DOMAIN}>",
                filename=f"{each}.png",
                disposition="inline",
            )

    def _picture(self, incident_id: str) -> bytes | None:
        try:
            return self.picture_of(incident_id)
        except (StoreUnavailable, OSError) as error:
            # A courtesy: the message goes without it.
            _LOG.warning("the plot of incident %s is missing: %s", incident_id, error)
            return None


def is_mail(plugin: "NotifyBase") -> bool:
    """Whether a URL's mails are sent by us: not those that Apprise signs or encrypts."""
    from apprise.plugins.email import NotifyEmail

    return type(plugin) is NotifyEmail and plugin.pgp_mode == "no"


def _priority(message: Message) -> dict[str, str]:
    ranks = [Severity(event.severity).rank for event in message.events]
    if message.is_good_news or (ranks and max(ranks) < Severity.WARNING.rank):
        return {"Importance": "low", "X-Priority": "5"}
    if ranks and max(ranks) >= Severity.CRITICAL.rank:
        return {"Importance": "high", "X-Priority": "1"}
    return {"Importance": "normal", "X-Priority": "3"}


def _header(text: str) -> str:
    """One line of printable characters that no program takes for an encoded word."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(printable.replace("=?", "= ?").split())


def _text(text: str) -> str:
    """The text without halves of characters, which no mail can hold."""
    return text.encode("utf-8", "replace").decode()


def _address(name: str | bool | None, address: str) -> Address:
    return Address(_header(name) if isinstance(name, str) else "", addr_spec=address)
