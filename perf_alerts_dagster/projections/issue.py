"""Issue due projections with their calibrations, and look up those in force."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

import numpy as np

from perf_alerts_dagster.core.alerts import Alert, Family
from perf_alerts_dagster.core.json import Json
from perf_alerts_dagster.projections.calibration import (
    LIFE,
    LIVES,
    Calibration,
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
    Expectation,
    InForce,
    Outlook,
    Projection,
    ProjectionsInForce,
    Subject,
    fan_of,
    project,
    recent_returns,
    reference_returns,
    seed_for,
    whole_reference,
)
from perf_alerts_dagster.projections.watchers import Known, documented_badness
from perf_alerts_dagster.records.model import StrategyRecord
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns

LAUNCH = "launch"
CURRENT = "current"
# The judging current projection, and a launch's calibration, are stored as separate kinds.
JUDGING = "judging"
CALIBRATION = "calibration"
_MONTHS = 12
# The facts that rules read.
_IN_FORCE = ("mean", "log_mean", "log_sigma", "haircut")


def in_force(stored: StoredProjection | None) -> InForce | None:
    """The projection as the rules read it; None for one of an older method, without a band."""
    if stored is None or "sup_below" not in stored.arrays:
        return None
    return InForce(
        kind=stored.kind,
        issued_on=stored.issued_on,
        fan=fan_of(stored.arrays),
        **{name: _number(stored.facts, name) for name in _IN_FORCE},
    )


def expectation(stored: StoredProjection | None, periods_per_year: float) -> Expectation | None:
    """The monthly return that a stored projection expects; None without a projection."""
    if stored is None:
        return None
    mean, sigma, rows = (_number(stored.facts, name) for name in ("mean", "sigma", "rows"))
    periods = periods_per_year / _MONTHS
    return Expectation(
        issued_on=stored.issued_on.isoformat(),
        monthly=periods * mean,
        standard_error=periods * sigma / math.sqrt(rows),
    )


def calibration_facts(calibration: Calibration) -> dict[str, Json]:
    """The scalar values of a calibration, as JSON."""
    return {
        "told": dict(calibration.notified),
        "power": dict(calibration.power),
        "half": {
            rule: None if math.isnan(days) else days for rule, days in calibration.half.items()
        },
        "union": calibration.union,
    }


def stored_calibration(stored: StoredProjection) -> Calibration:
    """The calibration from its stored form."""
    return Calibration(
        worst={rule: np.asarray(values) for rule, values in stored.arrays.items()},
        notified=_numbers(stored.facts, "told"),
        power=_numbers(stored.facts, "power"),
        half=_numbers(stored.facts, "half"),
        union=_number(stored.facts, "union"),
    )


def _number(facts: Mapping[str, Json], name: str) -> float:
    value = facts[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} of a stored projection is no number")
    return float(value)


def _numbers(facts: Mapping[str, Json], name: str) -> dict[str, float]:
    values = facts[name]
    if not isinstance(values, dict):
        raise TypeError(f"{name} of a stored calibration is no mapping")
    return {
        rule: float(value) if isinstance(value, int | float) else math.nan
        for rule, value in values.items()
    }


# A strategy's rows up to the day of issue, and what is projected of it.
_Member = tuple[StrategyRecord, Subject]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionIssuer:
    """Issues and looks up projections.

    `budget` is the share of healthy years in which a warning may be notified, found on `lives`
    simulated ones; `limits` are the limits of rules by their names in ALERT_THRESHOLDS.
    `unpack` and `unpack_calibration` make of the stored form what rules read.
    """

    store: ProjectionStore
    paths: int
    haircut: float
    settings_version: str
    limits: Mapping[str, float]
    budget: float = 0.05
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
            for kind in (LAUNCH, JUDGING, CALIBRATION, CURRENT)
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
            of_each = [records[projection.strategy] for projection in projections]
            stored += self._calibrations(projections, of_each, stored, seed, periods_per_year)
        self.store.save_projections(stored)

    def _calibrations(
        self,
        projections: Sequence[Projection],
        records: Sequence[StrategyRecord],
        stored: Sequence[StoredProjection],
        seed: int,
        periods_per_year: Mapping[str, float],
    ) -> list[StoredProjection]:
        if not projections:
            return []
        rates = [periods_per_year[projection.strategy] for projection in projections]
        documented = [documented_badness(self.limits, periods_per_year=rate) for rate in rates]
        calibrations = calibrate(
            [
                life_of(whole_reference(record), projection.residuals)
                for record, projection in zip(records, projections, strict=True)
            ],
            [
                Known(residuals=projection.residuals, band=projection.fan)
                for projection in projections
            ],
            draw_lives(seed, self.lives, LIFE),
            budget=self.budget,
            documented={
                rule: np.array([badness[rule] for badness in documented]) for rule in documented[0]
            },
        )
        return [
            replace(launch, kind=CALIBRATION, facts=calibration_facts(each), arrays=each.worst)
            for launch, each in zip(stored, calibrations, strict=True)
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
