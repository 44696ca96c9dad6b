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
    """A baseline is not accepted: the field that is wrong, and what is seen and accepted."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


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
        if haircut is None and self.proposal is None:
            raise BaselineRefused(
                "haircut",
                f"none can be proposed: {self.strategy} has fewer than two live rows before "
                f"{self.since}, or its reference does not earn anything; a share from 0 to 1 is "
                "accepted",
            )
        if haircut is None and self.proposal is not None:
            haircut = self.proposal.haircut
        if haircut is None or not 0.0 <= haircut <= 1.0:
            raise BaselineRefused("haircut", f"{haircut} is no share; 0 to 1 is accepted")
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
        raise BaselineRefused(
            "from",
            f"no row of {strategy} counts against its reference yet, so that no day is accepted",
        )
    begun: date = record.dates[first].astype(object)
    if not begun <= since <= today:
        raise BaselineRefused(
            "from",
            f"{since} is not accepted for {strategy}; a session from {begun}, its first row that "
            f"counts against its reference, to today ({today}) is",
        )
    calendar = reading.calendars[strategy]
    sessions = np.union1d(
        calendar.sessions(record.dates, today),
        calendar.counted.sessions(record.dates[-1].astype(object), today),
    )
    place = int(np.searchsorted(sessions, np.datetime64(since, "D")))
    if place == len(sessions) or sessions[place] != np.datetime64(since, "D"):
        near = " and ".join(str(day) for day in sessions[max(place - 1, 0) : place + 1])
        raise BaselineRefused(
            "from", f"{since} is no session of {strategy}; the sessions next to it are {near}"
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
