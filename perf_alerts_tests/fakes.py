"""In-memory stand-ins for the ports; the contract suites hold them to what the real ones do."""

import copy
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from perf_alerts_dagster.control.audit import Change
from perf_alerts_dagster.control.leases import Decision, LeaseQueue, Leases
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import PerfAlertsError
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.judging.evaluation import WORTH, Judgement
from perf_alerts_dagster.judging.ports import (
    AlertStore,
    HistoryFilter,
    HistoryPage,
    Period,
    StoredEvaluation,
)
from perf_alerts_dagster.judging.standings.model import Member
from perf_alerts_dagster.projections.ports import MemoryProjections, StoredProjection
from perf_alerts_dagster.records.desk import (
    Baseline,
    Desk,
    FirstSeen,
    Kept,
    KeptCalendar,
    Retirement,
    SourceReading,
    UnknownStrategy,
)
from perf_alerts_dagster.records.model import RecordsSource, TrackRecords


class FakeRecordsSource(RecordsSource):
    """Gives the records it was made with, or raises the error it was made with.

    `loaded` lists the `today` of every call.
    """

    def __init__(self, records: TrackRecords, *, error: PerfAlertsError | None = None) -> None:
        self.records = records
        self.error = error
        self.loaded: list[date] = []

    def load(self, today: date) -> TrackRecords:
        self.loaded.append(today)
        if self.error is not None:
            raise self.error
        return self.records


class FakeAlertStore(AlertStore):
    """The whole alert store in dictionaries.

    `error`, when set, is raised by every method, as a store does that cannot be reached.
    `settings` shows the settings versions that were kept.
    """

    def __init__(self, *, error: PerfAlertsError | None = None) -> None:
        self.error = error
        self.settings: dict[str, tuple[str, datetime]] = {}
        self._watermarks: dict[str, date] = {}
        self._judgements: dict[tuple[str, date, str], Judgement] = {}
        self._projections: dict[tuple[str, str, date], StoredProjection] = {}
        self._hashes: dict[tuple[str, str], str] = {}

    def watermark(self, alert: str) -> date | None:
        self._reach()
        return self._watermarks.get(alert)

    def record(
        self,
        judgement: Judgement,
        *,
        watermark: date | None,
        members: Mapping[str, Member] | None = None,
    ) -> None:
        self._reach()
        key = (judgement.alert, judgement.as_of, judgement.run_id)
        self._judgements.setdefault(key, _through_columns(judgement))
        known = self._watermarks.get(judgement.alert)
        if watermark is not None and (known is None or watermark > known):
            self._watermarks[judgement.alert] = watermark

    def judgements(self, *, alert: str | None = None, limit: int = 20) -> Sequence[Judgement]:
        self._reach()
        found = [one for one in self._newest_first() if alert in (None, one.alert)]
        return copy.deepcopy(found[: max(limit, 0)])

    def latest(self, alert: str, *, as_of: date | None = None) -> Judgement | None:
        self._reach()
        found = [
            one for one in self._newest_first() if one.alert == alert and as_of in (None, one.as_of)
        ]
        # max() gives the first of equals, which is the one made last.
        return copy.deepcopy(max(found, key=lambda one: one.as_of, default=None))

    def save_projections(self, projections: Sequence[StoredProjection]) -> None:
        self._reach()
        for one in projections:
            kept = replace(copy.deepcopy(one), facts=_through_json(one.facts))
            self._projections.setdefault((one.strategy, one.kind, one.issued_on), kept)

    def issued(
        self, *, kind: str, first: date, last: date, strategies: Collection[str] | None = None
    ) -> Sequence[StoredProjection]:
        self._reach()
        kept = MemoryProjections()
        kept.save_projections(copy.deepcopy(list(self._projections.values())))
        return kept.issued(kind=kind, first=first, last=last, strategies=strategies)

    def month_hashes(self) -> Mapping[tuple[str, str], str]:
        self._reach()
        return dict(self._hashes)

    def save_month_hashes(self, hashes: Mapping[tuple[str, str], str]) -> None:
        self._reach()
        self._hashes.update(hashes)

    def save_settings_version(self, version: str, content: str, at: datetime) -> None:
        self._reach()
        _refuse_naive(at)
        self.settings.setdefault(version, (content, at))

    def period(self, start: datetime, end: datetime) -> Period:
        self._reach()
        counts = Counter(
            (evaluation.strategy, evaluation.outcome)
            for judgement in self._judgements.values()
            if start <= judgement.judged_at < end and not judgement.recorded_only
            for evaluation in judgement.evaluations
        )
        return Period(counts=counts)

    def judged_names(self) -> Sequence[str]:
        return sorted({one.evaluation.strategy for one in self.current()})

    def current(
        self,
        *,
        strategy: str | None = None,
        rule: str | None = None,
        strategies: Collection[str] | None = None,
        as_of: date | None = None,
    ) -> Sequence[StoredEvaluation]:
        self._reach()
        newest: dict[tuple[str, str, str], StoredEvaluation] = {}
        days = {judgement.as_of for judgement in self._judgements.values()}
        last = [
            found
            for alert in ALERTS
            for day in sorted(days, reverse=True)
            if as_of is None or day <= as_of
            if (found := self.latest(alert.name, as_of=day)) is not None
        ]
        last = list({one.alert: one for one in reversed(last)}.values())
        for judgement in sorted(last, key=lambda one: (one.as_of, one.judged_at)):
            for evaluation in judgement.evaluations:
                is_one = strategies is None or evaluation.strategy in strategies
                is_one = is_one and strategy in (None, evaluation.strategy)
                if is_one and rule in (None, evaluation.rule):
                    key = evaluation.strategy, evaluation.rule, evaluation.projection or ""
                    newest[key] = StoredEvaluation(
                        alert=judgement.alert,
                        as_of=judgement.as_of,
                        judged_at=judgement.judged_at,
                        evaluation=evaluation,
                    )
        return [newest[key] for key in sorted(newest)]

    def history(self, wanted: HistoryFilter, *, limit: int) -> HistoryPage:
        self._reach()
        found = [
            ((judgement.as_of, number, position), judgement, evaluation)
            for number, judgement in enumerate(self._judgements.values(), start=1)
            for position, evaluation in enumerate(judgement.evaluations)
            if evaluation.strategy == wanted.strategy
            and wanted.rule in (None, evaluation.rule)
            and (wanted.first or date.min) <= judgement.as_of <= (wanted.last or date.max)
        ]
        found.sort(key=lambda each: each[0], reverse=True)
        found = [each for each in found if wanted.before is None or each[0] < wanted.before]
        page = [
            StoredEvaluation(
                alert=judgement.alert,
                as_of=judgement.as_of,
                judged_at=judgement.judged_at,
                evaluation=evaluation,
            )
            for _, judgement, evaluation in found[:limit]
        ]
        return HistoryPage(
            evaluations=page, last=found[limit - 1][0] if len(found) > limit else None
        )

    def _newest_first(self) -> list[Judgement]:
        # Of two made at the same moment the one stored last is the newer: hence the reversal.
        stored = reversed(list(self._judgements.values()))
        return sorted(stored, key=lambda one: one.judged_at, reverse=True)

    def _reach(self) -> None:
        if self.error is not None:
            raise self.error


def _through_columns(judgement: Judgement) -> Judgement:
    """A copy as a database gives it back, refused where a database would refuse it."""
    _refuse_naive(judgement.judged_at)
    for one in judgement.evaluations:
        worth = [getattr(one, name) for name in WORTH]
        numbers = (one.value, one.limit, one.p_year, one.false_alarm_rate, *worth)
        if any(math.isnan(number) for number in numbers if number is not None):
            raise ValueError(f"a number of {one.strategy}, {one.rule} is NaN")
    kept = tuple(replace(one, parts=_through_json(one.parts)) for one in judgement.evaluations)
    return replace(judgement, evaluations=kept)


def _through_json(parts: Mapping[str, Json]) -> dict[str, Json]:
    kept: dict[str, Json] = json.loads(json.dumps(dict(parts), allow_nan=False))
    return kept


def _refuse_naive(at: datetime) -> None:
    if at.utcoffset() is None:
        raise ValueError(f"{at.isoformat()} has no time zone")


class FakeLeases(Leases):
    """The leases in a dictionary; `error`, when set, is raised by every method."""

    def __init__(self, *, error: PerfAlertsError | None = None) -> None:
        self.error = error
        self._queues: dict[str, LeaseQueue] = {}

    def queue(self, name: str) -> LeaseQueue:
        if self.error is not None:
            raise self.error
        return self._queues.get(name, LeaseQueue())

    def change(self, name: str, decide: Callable[[LeaseQueue], Decision]) -> Decision:
        after = decide(self.queue(name))
        if after is not None:
            self._queues[name] = after
        return after


class FakeDesk(Desk):
    """What is kept about a desk, in dictionaries; `changes` are those of people."""

    def __init__(self) -> None:
        self.calendars: dict[str, KeptCalendar] = {}
        self.retired: dict[str, Retirement] = {}
        self.baselines: dict[str, tuple[Baseline, ...]] = {}
        self.sources: dict[str, SourceReading] = {}
        self.first_seen: dict[tuple[str, str], bytes] = {}
        self.changes: list[Change] = []

    def kept(self) -> Kept:
        return Kept(
            calendars=dict(self.calendars),
            retired=dict(self.retired),
            baselines=dict(self.baselines),
            first_seen=dict(self.first_seen),
        )

    def known(self) -> frozenset[str]:
        return frozenset(
            name for one in self.sources.values() for name in (*one.accepted, *one.vanished)
        )

    def keep_calendars(self, calendars: Mapping[str, KeptCalendar]) -> None:
        self.calendars = {**calendars, **self.calendars}

    def set_calendar(self, strategy: str, calendar: KeptCalendar, change: Change) -> None:
        self._must_know(strategy)
        self.calendars[strategy] = calendar
        self.changes.append(change)

    def retire(self, retirement: Retirement, change: Change) -> None:
        self._must_know(retirement.strategy)
        self.retired[retirement.strategy] = retirement
        self.changes.append(change)

    def rebaseline(self, baseline: Baseline, change: Change) -> Baseline:
        before = self.baselines.get(baseline.strategy, ())
        kept = replace(baseline, number=len(before) + 1)
        self.baselines[baseline.strategy] = (*before, kept)
        self.changes.append(change)
        return kept

    def keep_first_seen(self, first_seen: FirstSeen) -> None:
        self.first_seen |= first_seen

    def source(self, name: str) -> SourceReading | None:
        return self.sources.get(name)

    def save_source(self, name: str, reading: SourceReading, change: Change | None = None) -> None:
        self.sources[name] = reading
        self.changes += [] if change is None else [change]

    def _must_know(self, strategy: str) -> None:
        if strategy not in self.known():
            raise UnknownStrategy(strategy, self.known())
