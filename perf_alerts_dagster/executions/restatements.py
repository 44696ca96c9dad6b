"""Restatements and late rows: final rows that differ from what was seen when they were judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from perf_alerts_dagster.judging.ports import AlertStore
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.restatement import (
    emptied_month,
    month_hashes,
    newest_hashed,
    restated_months,
)

_MAXIMUM_DAYS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The sessions to judge again, rising, and one sentence per strategy and changed month."""

    sessions: tuple[date, ...] = ()
    notes: tuple[str, ...] = ()


class RestatementFinder:
    """Compares a reading with the month hashes that the store keeps."""

    def __init__(self, store: AlertStore) -> None:
        self._store = store

    def changes(self, reading: Reading) -> Changes:
        """What changed since the hashes were kept: restated months, and rows that came late.

        A strategy that is seen for the first time has no past to differ from.
        """
        kept = _by_strategy(self._store.month_hashes())
        again: set[date] = set()
        notes: list[str] = []
        for name, record in sorted(reading.records.strategies.items()):
            mine = kept.get(name)
            if not mine:
                continue
            for month, days in restated_months(record, mine).items():
                notes.append(_notified(name, month, days))
                again |= _touched(reading.sessions, month, days)
            late = record.dates[record.dates > np.datetime64(newest_hashed(mine), "D")]
            again |= set(late.astype(object).tolist())
        return Changes(sessions=tuple(sorted(again)), notes=tuple(notes))

    def keep(self, reading: Reading) -> None:
        """Remember the hashes of the final rows; only what is new or changed is written."""
        if reading.last_final is None:
            return
        kept = _by_strategy(self._store.month_hashes())
        news: dict[tuple[str, str], str] = {}
        for name, record in reading.records.strategies.items():
            mine = kept.get(name, {})
            now = month_hashes(record, reading.last_final)
            emptied = {
                month: emptied_month(value)
                for month, value in mine.items()
                if month not in now and month <= f"{reading.last_final:%Y-%m}"
            }
            for month, value in {**emptied, **now}.items():
                if mine.get(month) != value:
                    news[name, month] = value
        if news:
            self._store.save_month_hashes(news)


def _by_strategy(hashes: Mapping[tuple[str, str], str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for (name, month), value in hashes.items():
        found.setdefault(name, {})[month] = value
    return found


def _touched(sessions: Sequence[date], month: str, days: Sequence[date]) -> set[date]:
    """The month's sessions from the first changed day on; those before it do not depend on it."""
    within = [one for one in sessions if f"{one:%Y-%m}" == month]
    return {one for one in within if not days or one >= days[0]}


def _notified(strategy: str, month: str, days: Sequence[date]) -> str:
    shown = ", ".join(str(day) for day in days[:_MAXIMUM_DAYS])
    rest = f" and {len(days) - _MAXIMUM_DAYS} more days" if len(days) > _MAXIMUM_DAYS else ""
    where = f"on {shown}{rest}" if days else f"in {month}"
    return f"restated: final rows of {strategy} changed {where}"
