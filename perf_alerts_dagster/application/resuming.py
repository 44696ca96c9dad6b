"""Schedules that were switched off until a time come back by themselves, and it is recorded."""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from perf_alerts_dagster.application.control import Audit, Change
from perf_alerts_dagster.application.identity import SYSTEM
from perf_alerts_dagster.application.recording import Recorder
from perf_alerts_dagster.application.scheduling import SchedulerError
from perf_alerts_dagster.application.toggles import Recorded, ToggleBusy, Toggles

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resuming:
    """Ends the pauses whose time has come."""

    toggles: Toggles
    audit: Audit
    clock: Callable[[], datetime]

    async def resume(self) -> None:
        """Switch on what is due; what Dagster does not do now is tried again the next time.

        Raises:
            StoreUnavailable: the pauses or the audit cannot be read or written.
        """
        try:
            await self.toggles.resume_due(self._recorded)
        except (SchedulerError, ToggleBusy) as error:
            LOG.warning("pauses that are over could not be ended, trying again: %s", error)

    def _recorded(self, alert: str) -> Recorded:
        change = Change(
            at=self.clock(),
            actor=SYSTEM.user_id,
            key_id=SYSTEM.key_id,
            address="",
            action="enable",
            target=alert,
            request_id=uuid.uuid4().hex,
            after={"reason": "its pause is over"},
        )
        return Recorder(audit=self.audit, change=change).of_schedule
