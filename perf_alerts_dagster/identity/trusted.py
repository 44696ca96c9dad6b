"""Authenticating reverse proxies: only a request of theirs may name its user and its client."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from starlette.types import Scope

from perf_alerts_dagster.control.principal import ROLE_PERMISSIONS, Principal
from perf_alerts_dagster.http.problems import Problem
from perf_alerts_dagster.settings import Settings

_LONGEST_NAME = 256
# The highest first.
_ROLES = ("admin", "operator", "viewer")

Headers = Sequence[tuple[bytes, bytes]]


class NoRole(Exception):
    """A person whom no role is mapped to."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxies:
    """The proxies' addresses, their headers, and the groups and users of each role."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    user_header: str = ""
    groups_header: str = ""
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def client_of(self, scope: Scope) -> str | None:
        """The client's address by X-Forwarded-For; None where the peer is no trusted proxy.

        That is the last hop which is none of the proxies; text that is no address ends the way.
        """
        peer = self._proxy_of(scope)
        if peer is None:
            return None
        sent = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        for hop in reversed(sent.decode("latin-1").split(",")):
            address = _address(hop.strip())
            if address is None:
                break
            peer = address
            if not self._is_trusted(peer):
                break
        return str(peer)

    def principal_of(self, scope: Scope) -> Principal | None:
        """The person whom a trusted proxy names; None without a name, or from another peer.

        Raises:
            Problem: 400, a header is given twice, too long, or no printable text.
            NoRole: no role is mapped to the person.
        """
        if self._proxy_of(scope) is None:
            return None
        name = _text(scope["headers"], self.user_header)
        if not name:
            return None
        groups = _text(scope["headers"], self.groups_header, longest=None).split(",")
        names = {"*", name, *(group.strip() for group in groups if group.strip())}
        role = next((each for each in _ROLES if names & {*self.roles.get(each, ())}), None)
        if role is None:
            raise NoRole(name)
        return Principal(
            user_id=f"{role}:{name}",
            username=name,
            roles=(role,),
            permissions=frozenset(ROLE_PERMISSIONS[role]),
            key_id="",
        )

    def _proxy_of(self, scope: Scope) -> IPv4Address | IPv6Address | None:
        """The peer's address if it is a trusted proxy's."""
        client = scope.get("client")
        peer = _address(str(client[0])) if client and self.networks else None
        return peer if peer is not None and self._is_trusted(peer) else None

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.networks)


def trusted_proxies(settings: Settings) -> TrustedProxies:
    """The trusted proxies of the settings; by default there are none."""
    networks = (settings.trusted_proxies or "").split(",")
    return TrustedProxies(
        networks=tuple(ipaddress.ip_network(each.strip()) for each in networks if each.strip()),
        user_header=settings.trusted_user_header,
        groups_header=settings.trusted_groups_header,
        roles=settings.trusted_roles,
    )


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, also with a port as some proxies write it."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _text(headers: Headers, header: str, *, longest: int | None = _LONGEST_NAME) -> str:
    values = [value for name, value in headers if name == header.lower().encode()]
    if not values:
        return ""
    try:
        text = values[0].strip(b" \t").decode()
    except UnicodeDecodeError:
        text = "\n"
    is_long = longest is not None and len(values[0]) > longest
    if len(values) > 1 or is_long or (text and not text.isprintable()):
        raise Problem(
            400,
            "bad_identity_header",
            f"{header} must be given once, as printable UTF-8 text"
            + (f" of at most {longest} bytes" if longest else ""),
        )
    return text
