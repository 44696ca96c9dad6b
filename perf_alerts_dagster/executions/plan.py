"""Which sessions an execution judges: what is due and not yet judged, oldest first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from perf_alerts_dagster.core.alerts import Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The work of one execution.

    `finals` are final sessions, oldest first; `provisional` is the session still open, judged
    last and never counted as judged. `recorded_only`: the date asked for is older than the
    newest judged one, so it is recorded and moves nothing. `restated` are those of `finals`
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
        as_of: The session that the execution stands on.
        sessions: All sessions of the record, rising.
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
    due = [one for one in sessions if after < one <= last_final]
    again = [one for one in restated if one <= min(watermark, last_final)]
    if not due and not again and provisional is None:
        return Plan(finals=(last_final,))
    wanted = sorted({*again, *due})
    kept = wanted[-catch_up:]
    return Plan(
        finals=tuple(kept),
        provisional=provisional,
        restated=frozenset(again) & frozenset(kept),
        given_up=len(set(due) - set(kept)),
    )
