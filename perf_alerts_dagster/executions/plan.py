"""The sessions that an execution judges: those due, and those whose rows have changed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.core.wording import first_few
from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.restatement import Comparison, compare


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
    """The sessions to judge again, oldest first, and what to say of it.

    `restated` are by strategy the days of `restatement.Comparison`. `texts` are to be stored for
    (strategy, month) once the sessions are judged.
    """

    sessions: tuple[date, ...] = ()
    notes: tuple[str, ...] = ()
    texts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    restated: Mapping[str, Mapping[date, str]] = field(default_factory=dict)


def find_changes(
    store: AlertStore, reading: Reading, bounded: Callable[[str], Collection[str]]
) -> Changes:
    """Restatements and late rows: final rows that differ from those stored.

    A strategy that is seen for the first time has no changes. One that is faulty or not in the
    reading is not compared, and what is stored of it stays. Groups have only their members' rows.

    Args:
        store: Where the final rows of earlier executions are.
        reading: The records now.
        bounded: The further columns of a strategy that a limit bounds.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    stored: dict[str, dict[str, str]] = {}
    for (name, month), text in store.month_hashes().items():
        stored.setdefault(name, {})[month] = text
    sessions: set[date] = set()
    trimmed: list[str] = []
    restated: dict[str, Comparison] = {}
    texts: dict[tuple[str, str], str] = {}
    for name, record in sorted(reading.records.strategies.items()):
        if is_group(name):
            continue
        found = compare(
            record, stored.get(name, {}), bounded=bounded(name), last_final=reading.last_final
        )
        texts |= {(name, month): text for month, text in found.texts.items()}
        if found.newest is not None:
            late = record.dates[record.dates > np.datetime64(found.newest, "D")]
            sessions |= set(late.astype(object).tolist())
        if found.trimmed:
            trimmed.append(f"{name} on {record.dates[0]}")
        if found.days:
            sessions |= _judged_again(found, reading)
            restated[name] = found
    notes = _restatement_notes(restated)
    if trimmed:
        notes.append(f"the source begins later, which restates nothing: {first_few(trimmed)}")
    return Changes(
        sessions=tuple(sorted(sessions)),
        notes=tuple(notes),
        texts=texts,
        restated={name: found.days for name, found in restated.items()},
    )


def _judged_again(found: Comparison, reading: Reading) -> set[date]:
    """The sessions of each changed month from its first changed day on.

    What is changed as a whole is judged once, as of the newest final session.
    """
    if found.is_wholesale:
        return set() if reading.last_final is None else {reading.last_final}
    first = {f"{day:%Y-%m}": day for day in sorted(found.days, reverse=True)}
    return {
        session
        for session in reading.sessions
        if session >= first.get(f"{session:%Y-%m}", date.max)
    }


def _restatement_notes(restated: Mapping[str, Comparison]) -> list[str]:
    """A note on each strategy; one on all that are changed as a whole."""
    notes, wholesale = [], []
    for name, found in restated.items():
        days = [
            f"{day}" if kind == "changed" else f"{day} ({kind})" for day, kind in found.days.items()
        ]
        if found.is_wholesale:
            part = f"{len(days)} of {found.compared}"
            wholesale.append(f"{name} ({part} from {min(found.days)} to {max(found.days)})")
        else:
            notes.append(f"restated: final rows of {name} changed on {first_few(days, of=' days')}")
    if wholesale:
        notes.append(
            "restated: judged again as of the newest session only, since most final rows changed: "
            + first_few(wholesale)
        )
    return notes


def notes_of(
    reading: Reading, plan: Plan, changes: Sequence[str], repeats: Mapping[date, str]
) -> tuple[str, ...]:
    """Notes on the record, changes, repeated judgements and sessions left out, a line each."""
    notes = [*reading.records.notes, *changes]
    notes += [
        f"{session} was judged already by run {run_id}, on the same data and settings and with "
        "the same result; it was not recorded again"
        for session, run_id in repeats.items()
    ]
    if plan.given_up:
        further = "lie further back than one execution catches up (ALERT_CATCHUP_SESSIONS)"
        notes.append(f"{plan.given_up} older due sessions {further} and were not judged")
    return tuple(notes)
