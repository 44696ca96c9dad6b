"""The scheduled-summary history files: one per execution, complete or not there at all."""

import json
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.notifiable import notified, outcomes, severity_of


def summary_json(
    alert: str,
    *,
    executed_at: datetime,
    run_id: str,
    judgements: Sequence[Judgement],
    gate: bool,
    notes: Sequence[str] = (),
) -> str:
    """Render the history file of one execution."""
    details: list[Json] = []
    critical = warning = 0
    for judgement in judgements:
        for one in notified(judgement, gate=gate):
            severity = severity_of(one, gate=gate)
            critical += severity.rank >= Severity.CRITICAL.rank
            warning += severity is Severity.WARNING
            details.append(
                {
                    "alert_id": one.dedup_key,
                    "severity": severity.value,
                    "message": f"{one.strategy}: {one.message}",
                }
            )
    content: dict[str, Json] = {
        "check_name": alert,
        "execution_timestamp": timestamp(executed_at),
        "alerts_generated": len(details),
        "critical_count": critical,
        "warning_count": warning,
        "alert_details": details,
        "run_id": run_id,
        "as_of": judgements[-1].as_of.isoformat() if judgements else None,
        "judged": [_judged(one) for one in judgements],
        "notes": list(notes),
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _judged(judgement: Judgement) -> Json:
    return {
        "as_of": judgement.as_of.isoformat(),
        "provisional": judgement.provisional,
        "recorded_only": judgement.recorded_only,
        "restated": judgement.restated,
        "settings_version": judgement.settings_version,
        "data_hash": judgement.data_hash,
        "seed": judgement.seed,
        "outcomes": {name: outcome.value for name, outcome in outcomes(judgement).items()},
    }


class SummaryWriter(ABC):
    """Where the scheduled-summary history file of each execution goes."""

    @abstractmethod
    def write(self, alert: str, executed_at: datetime, run_id: str, content: str) -> Path:
        """Write the JSON text atomically; a name that is taken gets a run-id suffix."""


class SummaryFolder(SummaryWriter):
    """Writes `<state>/performance_alerts/scheduled/scheduled_summary_<alert>_<time>.json`."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "performance_alerts" / "scheduled"

    def write(self, alert: str, executed_at: datetime, run_id: str, content: str) -> Path:
        """Write the JSON text atomically, time in UTC; nothing is ever overwritten.

        A name that is taken gets the first eight characters of the run id, and where that is
        taken too (the same run in the same second) a number from 2 on.

        Raises:
            StoreUnavailable: the folder cannot be written; a later try may succeed.
        """
        stem = f"scheduled_summary_{alert}_{executed_at.astimezone(UTC):%Y%m%d_%H%M%S}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = self._draft(content)
        except OSError as exc:
            raise self._refused(exc) from exc
        try:
            return self._placed(draft, stem, run_id)
        except OSError as exc:
            raise self._refused(exc) from exc
        finally:
            draft.unlink()

    def _draft(self, content: str) -> Path:
        # In the same folder, because a link cannot leave its file system; mode 0600 by mkstemp.
        handle, name = tempfile.mkstemp(prefix=".summary-", suffix=".part", dir=self.folder)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, UnicodeError):
            with suppress(OSError):
                Path(name).unlink()
            raise
        return Path(name)

    def _placed(self, draft: Path, stem: str, run_id: str) -> Path:
        short = run_id[:8]
        numbered = (f"_{short}_{number}" for number in count(2))
        for suffix in chain(("", f"_{short}"), numbered):
            target = self.folder / f"{stem}{suffix}.json"
            # A link, unlike a rename, refuses a name that is taken.
            with suppress(FileExistsError):
                os.link(draft, target)
                return target
        raise AssertionError("the numbers do not end")

    def _refused(self, exc: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"the history file in {self.folder} cannot be written: {exc.strerror}"
        )
