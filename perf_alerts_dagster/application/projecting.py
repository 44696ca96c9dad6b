"""Issue the projections that are due, and say what those in force expect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from perf_alerts_dagster.application.judgement import StoredProjection
from perf_alerts_dagster.application.judging import Outlook
from perf_alerts_dagster.application.ports import AlertStore
from perf_alerts_dagster.application.reading import Reading
from perf_alerts_dagster.domain.projection import (
    CURRENT_HORIZON,
    LAUNCH_HORIZON,
    Projection,
    monthly_expectation,
    project,
    recent_returns,
    reference_returns,
    seed_for,
)
from perf_alerts_dagster.domain.record import StrategyRecord
from perf_alerts_dagster.domain.rules.forward import Expectation

LAUNCH = "launch"
CURRENT = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class Projecting:
    """Issues and looks up projections; `paths`, `haircut` and the version are statistical."""

    store: AlertStore
    paths: int
    haircut: float
    periods_per_year: float
    settings_version: str

    def issue_launch(self, reading: Reading, as_of: date, *, run_id: str) -> None:
        """Issue a launch projection for each live strategy that has none in force.

        It is dated at the start of live, from the reference segment, for 252 rows; at its end it
        is issued again from the same reference.
        """
        known = self.store.projections(kind=LAUNCH, on_or_before=as_of)
        issued = []
        for name, record in sorted(reading.records.strategies.items()):
            start = _launch_day(record.until(as_of))
            if start is None or (name in known and known[name].issued_on >= start):
                continue
            window = reference_returns(record.until(as_of))
            if window is not None:
                issued.append(self._issue(record, window, LAUNCH, start, run_id))
        self.store.save_projections(issued)

    def issue_current(self, reading: Reading, as_of: date, *, run_id: str) -> None:
        """Issue each strategy's monthly projection, from its last 756 rows, for 63 rows."""
        known = self.store.projections(kind=CURRENT, on_or_before=as_of)
        issued = []
        for name, record in sorted(reading.records.strategies.items()):
            rows = record.until(as_of)
            window = recent_returns(rows)
            if window is None or (name in known and known[name].issued_on == as_of):
                continue
            issued.append(self._issue(rows, window, CURRENT, as_of, run_id))
        self.store.save_projections(issued)

    def outlook(self, as_of: date) -> Outlook:
        """What the projections in force on `as_of` say."""
        launched = self.store.projections(kind=LAUNCH, on_or_before=as_of)
        now = self.store.projections(kind=CURRENT, on_or_before=as_of)
        before: dict[str, StoredProjection] = {}
        for issued_on in {one.issued_on for one in now.values()}:
            names = [name for name, one in now.items() if one.issued_on == issued_on]
            month = issued_on.replace(day=1)
            earlier = date.fromordinal(month.toordinal() - 1)
            before |= self.store.projections(kind=CURRENT, on_or_before=earlier, strategies=names)
        return Outlook(
            projected=frozenset(launched),
            expectations={
                name: (self._expectation(before.get(name)), self._expectation(one))
                for name, one in now.items()
            },
        )

    def _issue(
        self, record: StrategyRecord, window: np.ndarray, kind: str, day: date, run_id: str
    ) -> StoredProjection:
        seed = seed_for(day, self.settings_version)
        made = project(
            record.strategy,
            window,
            kind=kind,
            issued_on=day,
            horizon=LAUNCH_HORIZON if kind == LAUNCH else CURRENT_HORIZON,
            paths=self.paths,
            seed=seed,
            haircut=self.haircut if kind == LAUNCH else 0.0,
        )
        return self._stored(made, record, seed, run_id)

    def _stored(
        self, made: Projection, record: StrategyRecord, seed: int, run_id: str
    ) -> StoredProjection:
        return StoredProjection(
            strategy=made.strategy,
            kind=made.kind,
            issued_on=made.issued_on,
            horizon=made.horizon,
            seed=seed,
            settings_version=self.settings_version,
            data_hash=record.until(made.issued_on).content_hash(),
            run_id=run_id,
            facts=made.facts(),
            arrays=made.arrays(),
        )

    def _expectation(self, stored: StoredProjection | None) -> Expectation | None:
        if stored is None:
            return None
        mean, sigma, rows = (stored.facts[name] for name in ("mean", "sigma", "rows"))
        if not (isinstance(mean, float) and isinstance(sigma, float) and isinstance(rows, int)):
            return None
        monthly, error = monthly_expectation(
            mean, sigma, rows, periods_per_year=self.periods_per_year
        )
        return Expectation(
            issued_on=stored.issued_on.isoformat(), monthly=monthly, standard_error=error
        )


def _launch_day(record: StrategyRecord) -> date | None:
    """The day the launch projection in force began: the last backtest row, or 252 rows on."""
    live: Sequence[int] = np.flatnonzero(record.live).tolist()
    if not live:
        return None
    place = live[0] - 1
    while place + LAUNCH_HORIZON < len(record):
        place += LAUNCH_HORIZON
    day: date = record.dates[max(place, 0)].astype(object)
    return day
