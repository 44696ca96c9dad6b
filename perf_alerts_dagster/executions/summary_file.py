"""The scheduled-summary history files: one per execution, written whole or not at all."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

from perf_alerts_dagster.core.clock import timestamp
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.files import create_file
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import RECORDS, SOURCE_SHRUNK, system_key
from perf_alerts_dagster.judging.evaluation import Judgement, notified, severity_of
from perf_alerts_dagster.judging.summary import outcomes, too_little_notes


def summary_json(
    alert: str,
    *,
    executed_at: datetime,
    run_id: str,
    judgements: Sequence[Judgement],
    gate: bool,
    notes: Sequence[str] = (),
    shrunk: str = "",
) -> str:
    """Render the history file of one execution; `shrunk` says what a source that shrank lacks."""
    details: list[Json] = []
    critical = warning = 0
    for judgement in judgements:
        for evaluation in notified(judgement, gate=gate):
            severity = severity_of(evaluation, gate=gate)
            critical += severity.rank >= Severity.CRITICAL.rank
            warning += severity is Severity.WARNING
            details.append(
                {
                    "alert_id": evaluation.dedup_key,
                    "severity": severity.value,
                    "message": f"{evaluation.strategy}: {evaluation.message}",
                }
            )
    if shrunk:
        critical += 1
        key = system_key(SOURCE_SHRUNK, RECORDS)
        details.append({"alert_id": key, "severity": "critical", "message": shrunk})
    content: dict[str, Json] = {
        "check_name": alert,
        "execution_timestamp": timestamp(executed_at),
        "alerts_generated": len(details),
        "critical_count": critical,
        "warning_count": warning,
        "alert_details": details,
        "run_id": run_id,
        "as_of": judgements[-1].as_of.isoformat() if judgements else None,
        "judged": [_session(judgement) for judgement in judgements],
        "notes": list(notes),
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _session(judgement: Judgement) -> Json:
    return {
        "as_of": judgement.as_of.isoformat(),
        "provisional": judgement.provisional,
        "recorded_only": judgement.recorded_only,
        "restated": judgement.restated,
        "settings_version": judgement.settings_version,
        "method_version": judgement.method_version,
        "data_hash": judgement.data_hash,
        "seed": judgement.seed,
        "outcomes": {name: outcome.value for name, outcome in outcomes(judgement).items()},
        "too_little_data": {**too_little_notes(judgement)},
    }


def write_summary(
    state_dir: Path, alert: str, *, executed_at: datetime, run_id: str, content: str
) -> Path:
    """Write a history file, `performance_alerts/scheduled/scheduled_summary_<alert>_<time>.json`.

    The file is written whole or not at all, its time is in UTC, and nothing is ever overwritten:
    where the name is taken it gets the first eight characters of the run id, and where that is
    taken too (the same run in the same second) a number from 2 on.

    Raises:
        StoreUnavailable: the folder cannot be written; a later try may succeed.
    """
    folder = state_dir / "performance_alerts" / "scheduled"
    stem = f"scheduled_summary_{alert}_{executed_at.astimezone(UTC):%Y%m%d_%H%M%S}"
    with_run = f"{stem}_{run_id[:8]}"
    names = chain((stem, with_run), (f"{with_run}_{number}" for number in count(2)))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        targets = (folder / f"{name}.json" for name in names)
        return next(target for target in targets if create_file(target, content))
    except OSError as error:
        raise StoreUnavailable(
            f"the history file in {folder} cannot be written: {error.strerror}"
        ) from error
