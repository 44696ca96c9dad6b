"""What stands behind the server: real parts, or those of a test."""

from dataclasses import dataclass

from perf_alerts_dagster.api.resources import ApiParts
from perf_alerts_dagster.notifications.outage import Outage
from perf_alerts_dagster.notifications.sweeper import Sweeper
from perf_alerts_dagster.proxy.resources import ProxyParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of proxy and API, and who looks after incidents.

    `sweeper` sweeps while Dagster's sensor does not; without one nobody does. `outage` notifies
    people while the alert store cannot be written.
    """

    proxy: ProxyParts
    api: ApiParts
    sweeper: Sweeper | None = None
    outage: Outage | None = None
