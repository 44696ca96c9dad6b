"""Issue due projections with their calibrations, and look up those in force."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

import numpy as np

from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.projections.calibration import (
    LIVES,
    Calibration,
    Pair,
    calibrate,
)
from perf_alerts_dagster.projections.lives import draw_lives, life_of
from perf_alerts_dagster.projections.ports import (
    ProjectionsOfSessions,
    ProjectionStore,
    StoredProjection,
)
from perf_alerts_dagster.projections.projection import (
    CURRENT_HORIZON,
    LAUNCH_HORIZON,
    InForce,
    Outlook,
    ProjectionsInForce,
    Subject,
    project,
    recent_returns,
    reference_returns,
    seed_for,
    whole_reference,
)
from perf_alerts_dagster.projections.stored import (
    calibration_arrays,
    calibration_facts,
    expectation,
    in_force,
    number_of,
    stored_calibration,
)
from perf_alerts_dagster.projections.trade_lives import calibrate_trades
from perf_alerts_dagster.projections.walk import days_of
from perf_alerts_dagster.projections.watchers import Known, documented_badness
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns

LAUNCH = "launch"
CURRENT = "current"
# The judging current projection, and a launch's calibration, are stored as separate kinds.
JUDGING = "judging"
CALIBRATION = "calibration"
# A strategy's rows up to the day of issue, and what is projected of it.
_Member = tuple[StrategyRecord, Subject]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionIssuer:
    """Issues and looks up projections.

    `calibrations` is the kind that healthy years are stored under, on `lives` simulated ones: it
    names what they depend on. `weights` gives each rule's share of them, `limits` the documented
    limits by their names in ALERT_THRESHOLDS, both of a strategy. `unpack` and
    `unpack_calibration` make of the stored form what rules read.
    """

    store: ProjectionStore
    paths: int
    haircut: float
    settings_version: str
    limits: Callable[[str], Mapping[str, float]]
    weights: Callable[[str], Mapping[str, Pair]] = lambda strategy: {}
    calibrations: str = CALIBRATION
    lives: int = LIVES
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

    def issue_launch(self, reading: Reading, as_of: date, *, run_id: str) -> None:
        """Issue a launch projection for each live strategy that has none in force.

        It is dated at the start of live, from the reference segment, for 252 rows, with that
        day's volatility, together with its calibration; at its end it is issued again from the
        same reference. Strategies of one day of issue are projected together.
        """
        for day, members in sorted(self._due_launches(reading, as_of).items()):
            self._issue(members, LAUNCH, day, run_id, reading.periods_per_year)

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
        self._issue(members, CURRENT, as_of, run_id, reading.periods_per_year, judging=follow)

    def issue_for(
        self,
        alert: Alert,
        reading: Reading,
        as_of: date,
        *,
        run_id: str,
        turn: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Issue the projections that `alert` judges by, where they are due.

        `turn` is entered only if any are due; what others have issued until then is not again.
        """
        current = Family.FORWARD in alert.families
        # The evidence of a limit comes from the projection as well.
        launch = bool({Family.PROJECTION, Family.FORWARD, Family.THRESHOLD} & alert.families)
        due = self._due_current(reading, as_of) if current else []
        if launch:
            due += [
                one for members in self._due_launches(reading, as_of).values() for one in members
            ]
        if not due:
            return
        with turn():
            self.store.look_again({record.strategy for record, _ in due})
            if current:
                self.issue_current(reading, as_of, run_id=run_id)
            if launch:
                self.issue_launch(reading, as_of, run_id=run_id)

    def outlook(
        self, as_of: date, periods_per_year: Mapping[str, float], *, monthly: bool = True
    ) -> Outlook:
        """The projections that are in force on `as_of`.

        `periods_per_year` are the rows per year of each strategy; others have no expectation.
        Without `monthly`, the expectations and the earlier month's projections are left out.
        """
        launched, judging, calibrations, now = (
            self.store.projections(kind=kind, on_or_before=as_of)
            if monthly or kind != CURRENT
            else {}
            for kind in (LAUNCH, JUDGING, self.calibrations, CURRENT)
        )
        before = self._month_before(now)
        return Outlook(
            projected=frozenset(launched),
            expectations={
                name: (expectation(before.get(name), rate), expectation(now[name], rate))
                for name, rate in periods_per_year.items()
                if name in now
            },
            in_force={
                name: ProjectionsInForce(
                    launch=self.unpack(launched.get(name)),
                    judging=self.unpack(judging.get(name)),
                )
                for name in {*launched, *judging}
            },
            monthly={
                name: projection
                for name, stored in before.items()
                if (projection := self.unpack(stored))
            },
            calibrations={
                name: self.unpack_calibration(stored) for name, stored in calibrations.items()
            },
        )

    def _due_launches(self, reading: Reading, as_of: date) -> dict[date, list[_Member]]:
        """The strategies without a launch projection in force, by the day it begins."""
        known = self.store.projections(kind=LAUNCH, on_or_before=as_of)
        due: dict[date, list[_Member]] = {}
        for name, record in sorted(reading.records.strategies.items()):
            start = _launch_day(record, as_of)
            if start is None or (name in known and known[name].issued_on >= start):
                continue
            rows = record.until(as_of)
            window = reference_returns(rows)
            # Where nothing varies there is nothing to resample, now or on any later day.
            if window is not None and filter_returns(window) is not None:
                before = rows.until(start)
                subject = Subject(strategy=name, window=window, recent=recent_returns(before))
                due.setdefault(start, []).append((before, subject))
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

    def _month_before(self, now: Mapping[str, StoredProjection]) -> dict[str, StoredProjection]:
        projections: dict[str, StoredProjection] = {}
        for issued_on in sorted({stored.issued_on for stored in now.values()}):
            names = [name for name, stored in now.items() if stored.issued_on == issued_on]
            last = issued_on.replace(day=1) - timedelta(days=1)
            projections |= self.store.projections(kind=CURRENT, on_or_before=last, strategies=names)
        return projections

    def _issue(
        self,
        members: Sequence[tuple[StrategyRecord, Subject]],
        kind: str,
        day: date,
        run_id: str,
        periods_per_year: Mapping[str, float],
        *,
        judging: frozenset[str] | set[str] = frozenset(),
    ) -> None:
        seed = seed_for(day, self.settings_version)
        hashes = {record.strategy: record.content_hash() for record, _ in members}
        projections = project(
            [subject for _, subject in members],
            horizon=LAUNCH_HORIZON if kind == LAUNCH else CURRENT_HORIZON,
            paths=self.paths,
            seed=seed,
            haircut=self.haircut if kind == LAUNCH else 0.0,
        )
        stored = [
            StoredProjection(
                strategy=projection.strategy,
                kind=kind,
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
        stored += [replace(issued, kind=JUDGING) for issued in stored if issued.strategy in judging]
        if kind == LAUNCH:
            records = {record.strategy: record for record, _ in members}
            stored += self._calibrated(
                [(one, records[one.strategy]) for one in stored if one.kind == LAUNCH],
                periods_per_year,
            )
        self.store.save_projections(stored)

    def _calibrated(
        self,
        launches: Sequence[tuple[StoredProjection, StrategyRecord]],
        periods_per_year: Mapping[str, float],
    ) -> list[StoredProjection]:
        """The healthy years of launch projections of one day and seed, from the rows before it."""
        lives, known, documented = [], [], []
        for launch, record in launches:
            rate = periods_per_year[launch.strategy]
            rows, haircut = whole_reference(record), number_of(launch.facts, "haircut")
            window, band = reference_returns(record), in_force(launch)
            decay = decay_reference(np.log1p(rows), haircut=haircut)
            if window is None or band is None or decay is None:
                raise ValueError(f"{launch.strategy} has a projection, and no rows it is made of")
            subject = Subject(
                strategy=launch.strategy, window=window, recent=recent_returns(record)
            )
            residuals = subject.residuals(haircut)
            if residuals is None:
                raise ValueError(f"{launch.strategy} has a projection of rows that do not vary")
            lives.append(life_of(rows, residuals, decay, haircut=haircut))
            year = max(round(rate), 1)
            known.append(Known(residuals=residuals, band=band.fan, decay=decay, year=year))
            limits = self.limits(launch.strategy)
            documented.append(documented_badness(limits, periods_per_year=rate))
        if not launches:
            return []
        days = max(days_of(year=one.year) for one in known)
        calibrations = calibrate(
            lives,
            known,
            draw_lives(launches[0][0].seed, self.lives, days),
            weights=[self.weights(launch.strategy) for launch, _ in launches],
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
                kind=self.calibrations,
                facts=calibration_facts(each),
                arrays=calibration_arrays(each),
            )
            for (launch, _), each in zip(launches, calibrations, strict=True)
        ]


def _rows_after(record: StrategyRecord, day: date) -> int:
    return int((record.dates > np.datetime64(day, "D")).sum())


def _launch_day(record: StrategyRecord, as_of: date) -> date | None:
    """The day the launch projection in force began: the last backtest row, or 252 rows on."""
    rows = int(np.searchsorted(record.dates, np.datetime64(as_of, "D"), side="right"))
    first = int(record.live.argmax())
    if not record.live[first] or first >= rows:
        return None
    last = range(first - 1, rows, LAUNCH_HORIZON)[-1]
    day: date = record.dates[max(last, 0)].astype(object)
    return day
