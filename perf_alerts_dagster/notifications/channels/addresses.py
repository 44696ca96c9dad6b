"""The hosts that a message may be sent to: public ones, and private ones that the settings name.

Against server-side request forgery, since others may control a host's address: names are resolved
once, every address is checked, and the webhook connects to a checked address.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perf_alerts_dagster.notifications.delivery import DeliveryFailed

_PORTS = (443, 8443)
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))

Resolve = Callable[[str, int], Sequence[str]]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


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

    def checked_address(self, host: str, port: int) -> str:
        """The address to connect to.

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
        addresses = self.addresses(host, port)
        if not is_allowed and not all(is_public(address) for address in addresses):
            raise DeliveryFailed(
                "the host has an address that is not on the open internet; it is accepted where "
                "ALERT_NOTIFY_ALLOWED_HOSTS names the host",
                permanent=True,
            )
        return addresses[0]

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """All addresses of a host.

        Raises:
            DeliveryFailed: it has none.
        """
        try:
            addresses = self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise DeliveryFailed("the host's name cannot be resolved") from error
        if not addresses:
            raise DeliveryFailed("the host's name has no address")
        return addresses


def is_public(address: str) -> bool:
    """Whether an address, and any IPv4 address embedded in it, is public."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(each.is_global and not each.is_multicast for each in _unwrapped(parsed))


def _unwrapped(address: _Address) -> list[_Address]:
    """The address, and the IPv4 addresses embedded in it."""
    addresses: list[_Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return [address.ipv4_mapped]
        if address.sixtofour:
            addresses.append(address.sixtofour)
        if address.teredo:
            addresses.extend(address.teredo)
        if any(address in network for network in _NAT64):
            addresses.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return addresses
