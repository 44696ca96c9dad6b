"""The hosts that a message may be sent to: public ones, and private ones that the settings name.

Against server-side request forgery, since others may control a host's address: names are resolved
once, every address is checked, and connections go to a checked address, or are checked again.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from perf_alerts_dagster.notifications.delivery import DeliveryFailed

_PORTS = (443, 8443)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# What `is_global` of some versions of Python takes for public; tunnels may lead anywhere.
_RESERVED = tuple(
    map(
        ipaddress.ip_network,
        (
            "100.64.0.0/10",
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "240.0.0.0/4",
            "2001::/32",
            "2001:2::/48",
            "2001:10::/28",
            "2001:db8::/32",
            "2002::/16",
            "3fff::/20",
        ),
    )
)
INSIDE = (
    "the host has an address that is not on the open internet; it is accepted where "
    "ALERT_NOTIFY_ALLOWED_HOSTS names the host"
)

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """The IP addresses of a host, from the system's resolver.

    Raises:
        OSError: the host has none.
    """
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Checks addresses; `allowed` are host names and addresses that may be private."""

    allowed: frozenset[str] = frozenset()
    resolve: Resolve = resolve

    def is_allowed(self, host: str) -> bool:
        """Whether the settings name the host."""
        return host.lower().rstrip(".") in self.allowed

    def checked(self, host: str, port: int, *, proxied: bool = False) -> Sequence[str]:
        """The addresses to connect to; of a name behind a proxy, which resolves it, none.

        Raises:
            DeliveryFailed: the host has no address, or one that is not on the open internet.
        """
        is_allowed = self.is_allowed(host)
        if not is_allowed and port not in _PORTS:
            raise DeliveryFailed(
                f"port {port} is refused; 443 and 8443 are accepted, any other one for the hosts "
                "of ALERT_NOTIFY_ALLOWED_HOSTS",
                permanent=True,
            )
        if proxied and (is_allowed or not _is_numeric(host)):
            return ()
        addresses = self.addresses(host, port)
        if not is_allowed and not all(is_public(address) for address in addresses):
            raise DeliveryFailed(INSIDE, permanent=True)
        return addresses

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """All addresses of a host.

        Raises:
            DeliveryFailed: it has none.
        """
        try:
            addresses = self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise DeliveryFailed("the host's name is unknown: it cannot be resolved") from error
        if not addresses:
            raise DeliveryFailed("the host's name has no address")
        return addresses


def is_public(address: str) -> bool:
    """Whether an address is on the open internet: no tunnel, no zone, nothing reserved."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped or parsed in _NAT64:
            # IPv4 under another name; DNS64 gives these for hosts that have no other.
            parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        elif parsed.scope_id is not None or parsed not in _GLOBAL_UNICAST:
            return False
    return (
        parsed.is_global
        and not parsed.is_multicast
        and not any(parsed in network for network in _RESERVED)
    )


def _is_numeric(host: str) -> bool:
    """Whether it is an address in any form that a resolver reads, such as 127.1 and 0x7f000001."""
    with suppress(OSError):
        socket.inet_aton(host)
        return True
    return ":" in host
