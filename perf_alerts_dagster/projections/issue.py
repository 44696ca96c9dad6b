"""Issue due projections, calibrate those in force, and look them up."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, partial
from typing import TypeVar

import numpy as np

from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.projections import shadow_lives
from perf_alerts_dagster.projections.calibration import (
    LIVES,
    Calibration,
    Pair,
    calibrate,
    weights_with,
)
from perf_alerts_dagster.projections.lives import draw_lives, hedged_reference, life_of
from perf_alerts_dagster.projections.ports import CALIBRATION as CALIBRATION
from perf_alerts_dagster.projections.ports import CURRENT as CURRENT
from perf_alerts_dagster.projections.ports import (
    JUDGING,
    ProjectionsOfSessions,
    ProjectionStore,
    StoredProjection,
    calibration_kind,
    calibrations_in_force,
    kind_of,
    launches_in_force,
)
from perf_alerts_dagster.projections.ports import LAUNCH as LAUNCH
from perf_alerts_dagster.projections.projection import (
    CURRENT_HORIZON,
    LAUNCH_HORIZON,
    InForce,
    Outlook,
    Subject,
    filtered_reference,
    launch_days,
    project,
    recent_returns,
    reference_record,
    reference_subject,
    seed_for,
    whole_reference,
)
from perf_alerts_dagster.projections.stored import (
    calibration_arrays,
    calibration_facts,
    in_force,
    number_of,
    outlook,
    stored_calibration,
)
from perf_alerts_dagster.projections.trade_lives import calibrate_trades
from perf_alerts_dagster.projections.walk import days_of
from perf_alerts_dagster.projections.watchers import Known, documented_badness
from perf_alerts_dagster.records.desk import Baseline
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_dagster.statistics.hedge import Others

# Launch projections that are issued of a life that had none, the newest ones.
YEARS = 5
# Strategies that are simulated and stored together: at most as many are lost with a crash.
TOGETHER = 50
# A strategy's rows up to the day of issue, and what is projected of it.
_Member = tuple[StrategyRecord, Subject]
_Launched = tuple[StoredProjection, StrategyRecord]
_Any = TypeVar("_Any")
# Takes a line on what is issued so far.
Progress = Callable[[str], object]
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionIssuer:
    """Issues and looks up projections.

    `haircut` is that of strategies without a baseline. `calibrations` is the kind that healthy
    years are stored under, on `lives` simulated ones: it names what they depend on. `weights` gives
    each rule's share of them, `limits` the documented limits by their names in ALERT_THRESHOLDS,
    both of a strategy. Without `whole_life` only the newest launch and judging projections are
    issued of a life that had none. `unpack` and `unpack_calibration` make of the stored form what
    rules read.
    """

    store: ProjectionStore
    paths: int
    haircut: float
    settings_version: str
    limits: Callable[[str], Mapping[str, float]]
    weights: Callable[[str], Mapping[str, Pair]] = lambda strategy: {}
    calibrations: str = CALIBRATION
    lives: int = LIVES
    whole_life: bool = True
    unpack: Callable[[StoredProjection | None], InForce | None] = in_force
    unpack_calibration: Callable[[StoredProjection], Calibration] = stored_calibration

    def for_sessions(self, first: date, last: date) -> "ProjectionIssuer":
        """The same for one execution: it reads the store once, and unpacks each projection once."""
        return replace(
            self,
            store=ProjectionsOfSessions(self.store, first, last),
            unpack=cache(in_force),
            unpack_calibration=cache(stored_calibration),
        )

    def issue_launch(
        self, reading: Reading, as_of: date, *, run_id: str, progress: Progress = _LOG.info
    ) -> None:
        """Issue the launch projections that are due, and calibrate those in force.

        A launch projection is dated at the start of live, from the reference segment, for 252
        rows, with that day's volatility; at its end it is issued again from the same reference.
        Of a life that had none, those of its last five years are issued, oldest first, each with
        the judging projections of its year. What is stored is not made again.
        """
        years = self._due_launches(reading, as_of)
        for number, year in enumerate(years, start=1):
            done, strategies = 0, sum(map(len, year.values()))
            for day, members in sorted(year.items()):
                for some in _parts(members):
                    stored = self._projected(some, LAUNCH, day, run_id)
                    for window, those in self._due_windows(reading, as_of, some, day).items():
                        stored += self._projected(those, JUDGING, window, run_id)
                    self.store.save_projections(stored)
                    done += len(some)
                    progress(
                        f"projections: {done} of {strategies} strategies, "
                        f"issue {number} of {len(years)}"
                    )
        due = self._due_calibrations(reading, as_of)
        done, strategies = 0, sum(map(len, due.values()))
        others = cache(partial(Others, reading.records.strategies))
        for part in (part for launches in due.values() for part in _parts(launches)):
            self.store.save_projections(
                self._calibrated(part, reading.periods_per_year, others, run_id)
            )
            done += len(part)
            progress(f"calibrations: {done} of {strategies} strategies")

    def issue_current(self, reading: Reading, as_of: date, *, run_id: str) -> None:
        """Issue each strategy's monthly projection, from its last 756 rows, for 63 rows.

        Each is stored and drawn. One judges for its full 63 rows, and after its end the next one
        issued, so that judging windows do not overlap.
        """
        members = self._due_current(reading, as_of)
        if not members:
            return
        judging = self.store.projections(kind=JUDGING, on_or_before=as_of)
        follow = {
            name
            for name, rows in ((record.strategy, record) for record, _ in members)
            if name not in judging or _rows_after(rows, judging[name].issued_on) >= CURRENT_HORIZON
        }
        stored = self._projected(members, CURRENT, as_of, run_id)
        stored += [replace(one, kind=JUDGING) for one in stored if one.strategy in follow]
        self.store.save_projections(stored)

    def issue_for(
        self,
        alert: Alert,
        reading: Reading,
        as_of: date,
        *,
        run_id: str,
        turn: Callable[[], AbstractContextManager[object]] = nullcontext,
        progress: Progress = _LOG.info,
    ) -> None:
        """Issue the projections and calibrations that `alert` judges by, where they are due.

        `turn` is entered only if any are due; what others have issued until then is not again.
        """
        current = Family.FORWARD in alert.families
        # The evidence of a limit comes from the projection as well.
        launch = bool({Family.PROJECTION, Family.FORWARD, Family.THRESHOLD} & alert.families)
        shadowed = Family.PROJECTION in alert.families
        due = set(shadow_lives.due(self.store, reading, as_of) if shadowed else ())
        if current:
            due |= {record.strategy for record, _ in self._due_current(reading, as_of)}
        if launch:
            for year in self._due_launches(reading, as_of):
                due |= {record.strategy for members in year.values() for record, _ in members}
            for launches in self._due_calibrations(reading, as_of).values():
                due |= {record.strategy for _, record in launches}
        if not due:
            return
        with turn():
            self.store.look_again(due)
            # First, as no monthly projection judges before the judging ones of a life have ended.
            if launch:
                self.issue_launch(reading, as_of, run_id=run_id, progress=progress)
            if current:
                self.issue_current(reading, as_of, run_id=run_id)
            if shadowed:
                version = self.settings_version
                shadow_lives.issue(
                    self.store, reading, as_of, run_id=run_id, settings_version=version
                )

    def outlook(
        self,
        as_of: date,
        periods_per_year: Mapping[str, float],
        baselines: Mapping[str, Sequence[Baseline]] | None = None,
        *,
        monthly: bool = True,
        life_cusum: Collection[str] = (),
    ) -> Outlook:
        """The projections that are in force on `as_of`; the arguments are those of `outlook`."""
        return outlook(
            self.store,
            as_of,
            periods_per_year,
            baselines or {},
            calibrations=self.calibrations,
            monthly=monthly,
            life_cusum=life_cusum,
            unpack=self.unpack,
            unpack_calibration=self.unpack_calibration,
        )

    def _due_launches(self, reading: Reading, as_of: date) -> list[dict[date, list[_Member]]]:
        """By the day each begins: each strategy's first launch projection due, the second, ..."""
        known = launches_in_force(self.store, reading.baselines, as_of)
        due: list[dict[date, list[_Member]]] = []
        for name, record in sorted(reading.records.strategies.items()):
            baseline = record.baseline_on(as_of)
            kind = kind_of(LAUNCH, baseline.number if baseline else 0)
            launch = known.get(name)
            after = launch.issued_on if launch is not None and launch.kind == kind else date.min
            days = launch_days(record, as_of, baseline, after, YEARS if self.whole_life else 1)
            haircut = self.haircut if baseline is None else baseline.haircut
            members = [
                (day, (rows, replace(subject, baseline=baseline)))
                for day in days
                # Where nothing varies there is nothing to resample, now or on any later day.
                if (subject := reference_subject(rows := record.until(day), haircut)) is not None
                and subject.residuals() is not None
            ]
            for place, (day, member) in enumerate(members):
                if place == len(due):
                    due.append({})
                due[place].setdefault(day, []).append(member)
        return due

    def _due_windows(
        self, reading: Reading, as_of: date, members: Sequence[_Member], launch: date
    ) -> dict[date, list[_Member]]:
        """The judging projections of a launch's year, by the day each begins, 63 rows apart.

        Without those that others overlap, and one from the newest row on: the monthly update's.
        """
        judging = self.store.projections(kind=JUDGING, on_or_before=as_of)
        due: dict[date, list[_Member]] = {}
        for name in (record.strategy for record, _ in members):
            rows = reading.records.strategies[name].until(as_of)
            newest = len(rows) - 1
            first = newest - _rows_after(rows, launch)
            stop = min(first + LAUNCH_HORIZON, newest)
            if name in judging:
                ended = newest - _rows_after(rows, judging[name].issued_on) + CURRENT_HORIZON
                first = max(first, ended)
            places = range(first, stop, CURRENT_HORIZON)
            for place in places if self.whole_life else places[-1:]:
                before = rows.rows(0, place + 1)
                window = recent_returns(before)
                if window is not None and filter_returns(window) is not None:
                    day: date = rows.dates[place].astype(object)
                    due.setdefault(day, []).append((before, Subject(strategy=name, window=window)))
        return due

    def _due_calibrations(
        self, reading: Reading, as_of: date
    ) -> dict[tuple[date, int], list[_Launched]]:
        """The launch projections in force without a calibration, by their day of issue and seed.

        Each with the rows before it; not one of an older method, or without its rows.
        """
        launched = launches_in_force(self.store, reading.baselines, as_of)
        known = calibrations_in_force(self.store, launched, as_of, kind=self.calibrations)
        due: dict[tuple[date, int], list[_Launched]] = {}
        for name, launch in launched.items():
            record = reading.records.strategies.get(name)
            is_known = name in known and known[name].issued_on == launch.issued_on
            if is_known or record is None or in_force(launch) is None:
                continue
            rows = record.until(launch.issued_on)
            if filtered_reference(rows, number_of(launch.facts, "haircut")) is not None:
                due.setdefault((launch.issued_on, launch.seed), []).append((launch, rows))
        return due

    def _due_current(self, reading: Reading, as_of: date) -> list[_Member]:
        """The strategies without a monthly projection of this day."""
        known = self.store.projections(kind=CURRENT, on_or_before=as_of)
        due = []
        for name, record in sorted(reading.records.strategies.items()):
            rows = record.until(as_of)
            window = recent_returns(rows)
            if window is None or (name in known and known[name].issued_on == as_of):
                continue
            if filter_returns(window) is not None:
                due.append((rows, Subject(strategy=name, window=window)))
        return due

    def _projected(
        self, members: Sequence[_Member], kind: str, day: date, run_id: str
    ) -> list[StoredProjection]:
        """The projections of one day, simulated together."""
        seed = seed_for(day, self.settings_version)
        hashes = {record.strategy: record.content_hash() for record, _ in members}
        projections = project(
            [subject for _, subject in members],
            horizon=LAUNCH_HORIZON if kind == LAUNCH else CURRENT_HORIZON,
            paths=self.paths,
            seed=seed,
        )
        return [
            StoredProjection(
                strategy=projection.strategy,
                kind=kind_of(kind, projection.baseline.number if projection.baseline else 0),
                issued_on=day,
                horizon=projection.horizon,
                seed=seed,
                settings_version=self.settings_version,
                data_hash=hashes[projection.strategy],
                run_id=run_id,
                facts=projection.facts(),
                arrays=projection.arrays(),
            )
            for projection in projections
        ]

    def _calibrated(
        self,
        launches: Sequence[_Launched],
        periods_per_year: Mapping[str, float],
        others: Callable[[], Others],
        run_id: str,
    ) -> list[StoredProjection]:
        """The healthy years of launch projections of one day and seed, from the rows before it."""
        lives, known, documented = [], [], []
        for launch, record in launches:
            rate = periods_per_year[launch.strategy]
            rows, haircut = whole_reference(record), number_of(launch.facts, "haircut")
            hedge, hedged = hedged_reference(reference_record(record), others, haircut)
            band, reference = in_force(launch), filtered_reference(record, haircut)
            if band is None or reference is None:
                raise ValueError(f"{launch.strategy} has a projection, and no rows it is made of")
            residuals, decay = reference
            lives.append(life_of(rows, residuals, decay, haircut=haircut, hedged=hedged))
            year = max(round(rate), 1)
            known.append(
                Known(residuals=residuals, band=band.fan, decay=decay, hedge=hedge, year=year)
            )
            limits = self.limits(launch.strategy)
            documented.append(documented_badness(limits, periods_per_year=rate))
        days = max(days_of(year=one.year) for one in known)
        calibrations = calibrate(
            lives,
            known,
            draw_lives(launches[0][0].seed, self.lives, days),
            weights=[
                weights_with(self.weights(one.strategy), has_backtest=not one.live.all())
                for _, one in launches
            ],
            documented=documented,
        )
        calibrations = [
            replace(each, worst={**each.worst, **of_trades})
            for (launch, record), each in zip(launches, calibrations, strict=True)
            for of_trades in [calibrate_trades(record, each.year, launch.seed, self.lives)]
        ]
        return [
            replace(
                launch,
                kind=calibration_kind(self.calibrations, launch),
                settings_version=self.settings_version,
                data_hash=record.content_hash(),
                run_id=run_id,
                facts=calibration_facts(each),
                arrays=calibration_arrays(each),
            )
            for (launch, record), each in zip(launches, calibrations, strict=True)
        ]


def _parts(members: list[_Any]) -> list[list[_Any]]:
    return [members[first : first + TOGETHER] for first in range(0, len(members), TOGETHER)]


def _rows_after(record: StrategyRecord, day: date) -> int:
    return int((record.dates > np.datetime64(day, "D")).sum())
