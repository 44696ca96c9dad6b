"""Restatements: final rows whose content differs from what was seen before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from perf_alerts_dagster.application.ports import AlertStore
from perf_alerts_dagster.application.reading import Reading
from perf_alerts_dagster.domain.restatement import month_hashes


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The sessions of the changed months, rising, and one sentence per changed strategy."""

    sessions: tuple[date, ...]
    notes: tuple[str, ...]


class Restating:
    """Compares a reading with the month hashes that the store keeps."""

    def __init__(self, store: AlertStore) -> None:
        self._store = store

    def changes(self, reading: Reading) -> Changes:
        """What was restated since the hashes were kept; months seen first are none."""
        before = self._store.month_hashes()
        now = _hashes(reading)
        changed = sorted(key for key in now if key in before and before[key] != now[key])
        months = {month for _, month in changed}
        by_strategy: dict[str, list[str]] = {}
        for strategy, month in changed:
            by_strategy.setdefault(strategy, []).append(month)
        return Changes(
            sessions=tuple(one for one in reading.sessions if f"{one:%Y-%m}" in months),
            notes=tuple(
                f"restated: final rows of {strategy} changed in {', '.join(found)}"
                for strategy, found in by_strategy.items()
            ),
        )

    def keep(self, reading: Reading) -> None:
        """Remember the reading's hashes; only what is new or changed is written."""
        before = self._store.month_hashes()
        now = _hashes(reading)
        news = {key: value for key, value in now.items() if before.get(key) != value}
        if news:
            self._store.save_month_hashes(news)


def _hashes(reading: Reading) -> Mapping[tuple[str, str], str]:
    if reading.last_final is None:
        return {}
    return {
        (name, month): value
        for name, record in reading.records.strategies.items()
        for month, value in month_hashes(record, reading.last_final).items()
    }
