"""How often an address may be wrong: failures are counted, successes never, and no role is.

A right key works from an address that is over its limit: behind one address there may be many,
and keys are too long to be guessed. What a guesser loses is the answer.
"""

import ipaddress
import math
from collections import OrderedDict, deque
from collections.abc import Callable

WINDOW = 60.0
# Whoever has many addresses must not fill the memory; the ones idle for longest are dropped.
_MAXIMUM_ADDRESSES = 10_000


class Attempts:
    """The failures of each address within the last minute; `seconds` rises steadily."""

    def __init__(self, limit: int, seconds: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def failed(self, address: str) -> int | None:
        """Count a failure; whole seconds to wait, at least 1, where there were too many.

        One that is refused for that is not counted, so that the wait gets shorter.
        """
        name = _network(address)
        now = self._seconds()
        times = self._failures.setdefault(name, deque())
        self._failures.move_to_end(name)
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) >= self._limit:
            return max(math.ceil(times[0] + WINDOW - now), 1)
        times.append(now)
        while len(self._failures) > _MAXIMUM_ADDRESSES:
            self._failures.popitem(last=False)
        return None


def _network(address: str) -> str:
    """IPv6 is given out by /64: whoever has one address of it has them all."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
