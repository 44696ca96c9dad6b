"""The track record as projections are drawn over it, read at most once a minute."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from perf_alerts_dagster.records.groups import with_groups
from perf_alerts_dagster.records.model import RecordsSource, StrategyRecord, TrackRecords

_FRESH_SECONDS = 60.0


class Records:
    """Reads the source in a thread; callers at the same time share one reading."""

    def __init__(self, opened: Callable[[], RecordsSource], timezone: ZoneInfo) -> None:
        """Read what `opened` opens, not before somebody asks: a missing source stops no proxy."""
        self._opened = opened
        self._timezone = timezone
        self._lock = asyncio.Lock()
        self._kept: tuple[datetime, TrackRecords] | None = None

    def today(self, now: datetime) -> date:
        """Which day it is in the alerts' time zone."""
        return now.astimezone(self._timezone).date()

    async def of(self, strategy: str, now: datetime) -> StrategyRecord | None:
        """A strategy's or group's rows up to today; None where the source has none.

        Raises:
            RecordsUnavailable: the source cannot be read.
            RecordsInvalid: it is no track record.
        """
        async with self._lock:
            kept = self._kept
            if kept is None or (now - kept[0]).total_seconds() > _FRESH_SECONDS:
                found = await asyncio.to_thread(self._load, self.today(now))
                kept = self._kept = (now.astimezone(UTC), found)
        return kept[1].strategies.get(strategy)

    def _load(self, today: date) -> TrackRecords:
        return with_groups(self._opened().load(today))
