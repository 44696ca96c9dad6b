"""What happens when an execution has failed for good: people are told, one way or the other."""

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime

from perf_alerts_dagster.domain.alerts import BY_NAME
from perf_alerts_dagster.domain.errors import StoreUnavailable
from perf_alerts_dagster.settings import Settings

LOG = logging.getLogger(__name__)

# The longest that a failed execution waits for slow channels; the sweep sends what is left.
_SECONDS = 20.0
# Takes the alert's name, the session that was asked for, the run's id and the error's line.
Reporter = Callable[[str, date | None, str, str], None]


def reporter(settings: Settings) -> Reporter:
    """Opens an incident; past the alert store, marked as such, where that is what fails."""

    def report(alert: str, as_of: date | None, run_id: str, error: str) -> None:
        # Imported only when something has failed: the channels and the store are heavy.
        from perf_alerts_dagster.bootstrap.incidents import build_direct

        now = datetime.now(UTC)
        try:
            _open_incident(settings, alert, run_id, error, now)
        except StoreUnavailable as unavailable:
            LOG.warning("%s", unavailable)
            told = build_direct(settings).tell(
                BY_NAME[alert], as_of=as_of, run_id=run_id, error=error, now=now
            )
            for one in told:
                LOG.warning(
                    "%s failed; told directly through %s: %s",
                    alert,
                    one.channel,
                    one.error or "delivered",
                )

    return report


def _open_incident(settings: Settings, alert: str, run_id: str, error: str, now: datetime) -> None:
    from perf_alerts_dagster.adapters.store.store import open_store
    from perf_alerts_dagster.bootstrap.incidents import build_delivering, open_desk
    from perf_alerts_dagster.bootstrap.store import store_url

    store = open_store(store_url(settings))
    try:
        desk = open_desk(settings, store.engine)
        desk.lifecycle.failed(alert, run_id=run_id, error=error, now=now)
        build_delivering(settings, desk, owner=f"run:{run_id}").drain(_SECONDS)
    finally:
        store.close()
