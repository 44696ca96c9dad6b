"""Restatements and late rows: final rows that differ from what was seen when they were judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from perf_alerts_dagster.application.ports import AlertStore
from perf_alerts_dagster.application.reading import Reading
from perf_alerts_dagster.domain.restatement import is_restated, month_hashes

Hashes = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The sessions to judge again, rising, and one sentence per strategy that changed."""

    sessions: tuple[date, ...] = ()
    notes: tuple[str, ...] = ()


class Restating:
    """Compares a reading with the month hashes that the store keeps."""

    def __init__(self, store: AlertStore) -> None:
        self._store = store

    def changes(self, reading: Reading) -> Changes:
        """What changed since the hashes were kept: restated months, and rows that came late.

        A strategy that is seen for the first time has no past to differ from.
        """
        kept = self._store.month_hashes()
        again: set[date] = set()
        notes: list[str] = []
        for name, record in sorted(reading.records.strategies.items()):
            mine = {month: value for (of, month), value in kept.items() if of == name}
            if not mine:
                continue
            months = [month for month in sorted(mine) if is_restated(record, month, mine[month])]
            if months:
                notes.append(f"restated: final rows of {name} changed in {', '.join(months)}")
                again |= {one for one in reading.sessions if f"{one:%Y-%m}" in months}
            seen = np.datetime64(max(value.partition(":")[0] for value in mine.values()), "D")
            late = record.dates[record.dates > seen].astype(object).tolist()
            again |= set(late)
        return Changes(sessions=tuple(sorted(again)), notes=tuple(notes))

    def keep(self, reading: Reading) -> None:
        """Remember the hashes of the final rows; only what is new or changed is written."""
        if reading.last_final is None:
            return
        kept = self._store.month_hashes()
        news = {
            (name, month): value
            for name, record in reading.records.strategies.items()
            for month, value in month_hashes(record, reading.last_final).items()
            if kept.get((name, month)) != value
        }
        if news:
            self._store.save_month_hashes(news)
