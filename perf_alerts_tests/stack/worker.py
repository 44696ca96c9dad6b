"""A worker over the outbox that kills itself: URL CHANNEL MINUTES POINT COUNT.

It ends by SIGKILL when POINT is reached for the COUNT-th time. Its clock is MINUTES ahead, so
that leases of those who died before it have run out.
"""

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from random import Random

from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.notifications.channels.addresses import Addresses
from perf_alerts_dagster.notifications.channels.open import open_channels
from perf_alerts_dagster.notifications.delivery import Deliverer
from perf_alerts_dagster.storage.engine import open_engine


def main(url: str, channel: str, minutes: str, point: str, count: str) -> None:
    ahead = timedelta(minutes=int(minutes))
    left = int(count)

    def reached(at: str) -> None:
        nonlocal left
        left -= at == point
        if at == point and left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    channels = open_channels(
        [channel],
        variable="ALERT_NOTIFY_URLS",
        secret=None,
        addresses=Addresses(allowed=frozenset({"127.0.0.1"})),
    )
    worker = Deliverer(
        outbox=SqlOutbox(open_engine(url)),
        channels={one.name: one for one in channels},
        on_dead_letter=lambda channel, error, now: None,
        on_sent=lambda channel, now: None,
        clock=lambda: datetime.now(UTC) + ahead,
        jitter=Random(),
        owner=str(os.getpid()),
        reached=reached,
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    worker.drain(60.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
