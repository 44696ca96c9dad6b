"""The sessions that an execution judges: those due, and those whose rows have changed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.restatement import (
    emptied_month,
    month_hashes,
    newest_hashed,
    restated_months,
)

# A note lists at most this many days.
_MAXIMUM_DAYS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The work of one execution.

    `finals` are final sessions, oldest first; `provisional` is the session still open, judged
    last and never counted as judged. `recorded_only`: the requested date is older than the newest
    judged one, so it is recorded and does not move the watermark. `restated` are those of `finals`
    that were judged before and whose rows have changed since. `given_up` counts the due
    sessions that lie further back than one execution catches up.
    """

    finals: tuple[date, ...]
    provisional: date | None = None
    recorded_only: bool = False
    restated: frozenset[date] = field(default_factory=frozenset)
    given_up: int = 0


def plan_execution(
    alert: Alert,
    *,
    as_of: date,
    sessions: Sequence[date],
    last_final: date | None,
    watermark: date | None,
    catch_up: int,
    restated: Sequence[date] = (),
    switched_on: date | None = None,
) -> Plan:
    """Decide what one execution of `alert` judges.

    Args:
        alert: The daily alerts judge each session; the others judge the last final one.
        as_of: The session that the execution is as of.
        sessions: All sessions of the record, oldest first.
        last_final: The last session at or before `as_of` whose close has passed; None if none.
        watermark: The newest session judged for good; None before the first execution ever,
            which judges the last final session only, so that old rows open nothing.
        catch_up: At most this many sessions are judged in one execution, the newest of them.
        restated: Sessions whose final rows changed since they were judged.
        switched_on: The newest session that was final when the alert's schedule was switched
            on; it and those before it are not caught up, so that a schedule that was off for
            weeks starts with no burst. None where no schedule asks.
    """
    provisional = as_of if (last_final is None or as_of > last_final) else None
    if watermark is not None and as_of < watermark:
        return Plan(finals=(as_of,), recorded_only=True)
    if not alert.skips_non_sessions:
        return Plan(finals=() if last_final is None else (last_final,))
    if last_final is None:
        return Plan(finals=(), provisional=provisional)
    if watermark is None:
        return Plan(finals=(last_final,), provisional=provisional)
    after = max(watermark, switched_on or watermark)
    due = [session for session in sessions if after < session <= last_final]
    again = [session for session in restated if session <= min(watermark, last_final)]
    if not due and not again and provisional is None:
        return Plan(finals=(last_final,))
    wanted = sorted({*again, *due})
    caught_up = wanted[-catch_up:]
    return Plan(
        finals=tuple(caught_up),
        provisional=provisional,
        restated=frozenset(again) & frozenset(caught_up),
        given_up=len(set(due) - set(caught_up)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The sessions to judge again, oldest first, and a note per strategy and changed month."""

    sessions: tuple[date, ...] = ()
    notes: tuple[str, ...] = ()


def find_changes(store: AlertStore, reading: Reading) -> Changes:
    """Restated months and late rows: the final rows that differ from the stored month hashes.

    A strategy that is seen for the first time has no changes.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    stored = _stored_hashes(store)
    sessions: set[date] = set()
    notes: list[str] = []
    for name, record in sorted(reading.records.strategies.items()):
        hashes = stored.get(name)
        if not hashes:
            continue
        for month, days in restated_months(record, hashes).items():
            notes.append(_restatement_note(name, month, days))
            # The month's sessions before the first changed day do not depend on it.
            sessions |= {
                session
                for session in reading.sessions
                if f"{session:%Y-%m}" == month and (not days or session >= days[0])
            }
        late = record.dates[record.dates > np.datetime64(newest_hashed(hashes), "D")]
        sessions |= set(late.astype(object).tolist())
    return Changes(sessions=tuple(sorted(sessions)), notes=tuple(notes))


def save_hashes(store: AlertStore, reading: Reading) -> None:
    """Store the month hashes of the final rows, those that are new or changed.

    Raises:
        StoreUnavailable: the store cannot be read or written.
    """
    if reading.last_final is None:
        return
    stored = _stored_hashes(store)
    changed: dict[tuple[str, str], str] = {}
    for name, record in reading.records.strategies.items():
        before = stored.get(name, {})
        now = month_hashes(record, reading.last_final)
        emptied = {
            month: emptied_month(value)
            for month, value in before.items()
            if month not in now and month <= f"{reading.last_final:%Y-%m}"
        }
        for month, value in {**emptied, **now}.items():
            if before.get(month) != value:
                changed[name, month] = value
    if changed:
        store.save_month_hashes(changed)


def _stored_hashes(store: AlertStore) -> dict[str, dict[str, str]]:
    """By strategy, the stored hash of each month."""
    by_strategy: dict[str, dict[str, str]] = {}
    for (name, month), value in store.month_hashes().items():
        by_strategy.setdefault(name, {})[month] = value
    return by_strategy


def _restatement_note(strategy: str, month: str, days: Sequence[date]) -> str:
    listed = ", ".join(str(day) for day in days[:_MAXIMUM_DAYS])
    rest = f" and {len(days) - _MAXIMUM_DAYS} more days" if len(days) > _MAXIMUM_DAYS else ""
    where = f"on {listed}{rest}" if days else f"in {month}"
    return f"restated: final rows of {strategy} changed {where}"
