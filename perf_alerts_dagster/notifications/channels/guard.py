"""What libraries of other services do while they send: where they connect to, and how.

They resolve a host's name themselves, so that each connection is checked once more, and they
would take a proxy from the environment, in place of which ours is given, with our certificates.
"""

import errno
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from perf_alerts_dagster.notifications.channels.addresses import INSIDE, is_public
from perf_alerts_dagster.notifications.channels.outgoing import Outgoing
from perf_alerts_dagster.notifications.delivery import DeliveryFailed

_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})


@dataclass(slots=True, kw_only=True)
class _Sending:
    """What the present thread may do; `reachable` is None where it may connect to any address."""

    outgoing: Outgoing
    reachable: frozenset[str] | None
    is_refused: bool = False


class _Thread(threading.local):
    sending: _Sending | None = None


_THREAD = _Thread()


@contextmanager
def guarded(outgoing: Outgoing, reachable: frozenset[str] | None) -> Iterator[None]:
    """Within it this thread connects to public addresses and those of `reachable` only.

    Args:
        outgoing: The proxy and the certificates of requests.
        reachable: Further addresses, as those of the proxy; None for any address.

    Raises:
        DeliveryFailed: at the end, where a connection was refused.
    """
    sending = _THREAD.sending = _Sending(outgoing=outgoing, reachable=reachable)
    try:
        yield
    finally:
        _THREAD.sending = None
    if sending.is_refused:
        raise DeliveryFailed(INSIDE, permanent=True)


def _check(
    event: str, arguments: tuple[Any, ...]
) -> None:  # pragma: no cover - an audit hook is not traced
    """Refuse a connection of a guarded thread to an address inside, before it is made."""
    if event not in _CONNECTS or (sending := _THREAD.sending) is None or not arguments:
        return
    address = arguments[-1]
    if sending.reachable is None or not isinstance(address, tuple):
        return
    if address[0] not in sending.reachable and not is_public(address[0]):
        sending.is_refused = True
        raise OSError(errno.EACCES, "the address is not on the open internet")


_merge = requests.Session.merge_environment_settings


def _merge_ours(
    session: requests.Session,
    url: Any,  # noqa: ANN401 - the types are those of requests
    proxies: Any,  # noqa: ANN401
    stream: Any,  # noqa: ANN401
    verify: Any,  # noqa: ANN401
    cert: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    if sending := _THREAD.sending:
        proxy, bundle = sending.outgoing.proxy_for(url), sending.outgoing.ca_bundle
        # The star keeps those of the environment out.
        proxies = {"no_proxy": "*"} | ({"https": proxy} if proxy else {})
        verify = str(bundle) if bundle and verify in (None, True) else verify
    return _merge(session, url, proxies, stream, verify, cert)


sys.addaudithook(_check)
requests.Session.merge_environment_settings = _merge_ours  # type: ignore[assignment]
