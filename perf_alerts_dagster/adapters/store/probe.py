"""Whether the alert store can be written now, by whoever comes next."""

import uuid
from datetime import datetime, timedelta

from perf_alerts_dagster.adapters.store.engine import open_engine
from perf_alerts_dagster.adapters.store.leases import SqlLeases

_LEASE = "probe"
_TTL = timedelta(seconds=5)


class Probe:
    """Writes a row and takes it back, through a connection of its own each time.

    Who has opened a file goes on writing to it after its folder was made read-only, while no
    execution that begins then can: the connections that are open prove nothing.
    """

    def __init__(self, url: str) -> None:
        self._leases = SqlLeases(open_engine(url, pooled=False))
        self._owner = uuid.uuid4().hex

    def __call__(self, now: datetime) -> None:
        """Write at `now`, aware.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        self._leases.acquire(_LEASE, self._owner, now, _TTL)
        self._leases.release(_LEASE, self._owner)
