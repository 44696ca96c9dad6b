"""A new baseline of a strategy: what a person may set, what is proposed, and its record."""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.projections.projection import Proposal, first_counted, propose
from perf_alerts_dagster.records.desk import Baseline, Desk, UnknownStrategy
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading


class BaselineRefused(UsageError):
    """A value of a baseline is not accepted: the field, and what is accepted for it."""

    def __init__(self, field: str, seen: object, accepted: str) -> None:
        super().__init__(f"{field} is {seen}; accepted is {accepted}")
        self.field = field
        self.accepted = accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A strategy or group, a first day that a baseline of it may have, and what is proposed."""

    strategy: str
    since: date
    proposal: Proposal | None

    def baseline(self, haircut: float | None, *, reason: str, by: str, at: datetime) -> Baseline:
        """The baseline, with the proposed haircut where none is given.

        Raises:
            BaselineRefused: the haircut is none, or there is none to propose.
        """
        if haircut is None and self.proposal is not None:
            haircut = self.proposal.haircut
        if haircut is None or not 0.0 <= haircut <= 1.0:
            accepted = "a number from 0 to 1"
            if self.proposal is None:
                accepted += (
                    ", which must be given: none is proposed by fewer than two live rows before "
                    "that day, or where the reference does not earn anything"
                )
            raise BaselineRefused("haircut", "not given" if haircut is None else haircut, accepted)
        return Baseline(
            strategy=self.strategy,
            since=self.since,
            haircut=haircut,
            reason=reason,
            by=by,
            at=at,
        )


def record_of(reading: Reading, strategy: str) -> StrategyRecord:
    """The rows of a strategy or group.

    Raises:
        UnknownStrategy: the source has none of that name.
    """
    record = reading.records.strategies.get(strategy)
    if record is None:
        raise UnknownStrategy(strategy, reading.records.strategies)
    return record


def candidate(reading: Reading, strategy: str, since: date, *, today: date) -> Candidate:
    """What a baseline from a day on would be.

    Args:
        reading: The source.
        strategy: A name in it.
        since: The first day to count against it: a session up to today, after live began.
        today: Today's date in the zone of the reading.

    Raises:
        UnknownStrategy: the source has no strategy or group of that name.
        BaselineRefused: the day is not accepted.
    """
    record = record_of(reading, strategy)
    first = first_counted(record)
    if first == len(record):
        accepted = f"no day: no row of {strategy} counts against its reference yet"
        raise BaselineRefused("from", since, accepted)
    begun: date = record.dates[first].astype(object)
    calendar = reading.calendars[strategy]
    sessions = np.union1d(
        calendar.sessions(record.dates, today),
        calendar.counted.sessions(record.dates[-1].astype(object), today),
    )[first:]
    if not (sessions == np.datetime64(since, "D")).any() or not begun <= since <= today:
        accepted = f"a session of {strategy} from {begun}, the first to count, to {today}"
        later = sessions[sessions > np.datetime64(since, "D")][:1]
        raise BaselineRefused(
            "from", since, accepted + "".join(f"; the next one is {day}" for day in later)
        )
    return Candidate(strategy=strategy, since=since, proposal=propose(record, since))


def rebaseline(desk: Desk, lifecycle: Lifecycle, baseline: Baseline, change: Change) -> Baseline:
    """Set a baseline as a person, and note it with the unresolved incidents of the strategy.

    Raises:
        StoreUnavailable: the store cannot be written.
    """
    kept = desk.rebaseline(baseline, change)
    lifecycle.note(
        kept.strategy,
        "baseline",
        by=kept.by,
        now=kept.at,
        since=kept.since.isoformat(),
        haircut=kept.haircut,
        reason=kept.reason,
    )
    return kept
