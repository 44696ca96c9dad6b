"""The bundled sample, replayed: on the first start, today is a session a year before its end.

Each new weekday reveals the next session. The anchor is kept in the state folder, so that every
process and every restart sees the same record.
"""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from perf_alerts_dagster.core.errors import RecordsUnavailable
from perf_alerts_dagster.core.files import create_file
from perf_alerts_dagster.records.model import RecordsSource, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.sources.open import TableNames, open_records

_FOLDER = Path(__file__).parent / "sample_data"
# Two strategies that show shadows and benchmarks, which the real ones have not.
_MADE_UP = _FOLDER / "made_up"
_FIRST, _LAST = date(1990, 1, 1), date(2022, 12, 28)
_BEFORE_END = timedelta(days=364)
NAME = "bundled sample"


class SampleSource(RecordsSource):
    """The sample seen from the anchor in `state_dir`; the first reader sets the anchor."""

    def __init__(self, state_dir: Path) -> None:
        self._anchor = state_dir / "sample-anchor.json"

    def load(self, today: date) -> TrackRecords:
        """The bundled rows, shifted in time; those after `today` are not revealed yet."""
        records, made_up = (
            open_records(str(folder), shown=NAME, tables=TableNames(), columns={}).load(date.max)
            for folder in (_FOLDER, _MADE_UP)
        )
        shift = self._shift(today)
        notes = ["this is the bundled sample, replayed; set ALERT_RECORDS_URL to your own records"]
        if today > _LAST + shift:
            notes.append(f"the sample ended on {_LAST + shift}; delete {self._anchor} to replay it")
        strategies = sorted({**records.strategies, **made_up.strategies}.items())
        return replace(
            records,
            source=NAME,
            strategies={name: _shifted(record, shift).until(today) for name, record in strategies},
            notes=tuple(notes),
            is_sample=True,
        )

    def _shift(self, today: date) -> timedelta:
        """The shift of the sample, in whole weeks, so that weekdays stay weekdays."""
        try:
            if not self._anchor.exists():
                weeks = (today - (_LAST - _BEFORE_END)).days // 7
                self._anchor.parent.mkdir(parents=True, exist_ok=True)
                create_file(self._anchor, json.dumps({"shift_weeks": weeks}))
            return _parsed(self._anchor.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise RecordsUnavailable(
                f"the sample's anchor {self._anchor} cannot be read or written; "
                "delete it to start the replay anew"
            ) from error


def _parsed(anchor: str) -> timedelta:
    shift = timedelta(weeks=int(json.loads(anchor)["shift_weeks"]))
    # Raises where the shifted dates are out of range.
    _ = (_FIRST + shift, _LAST + shift)
    return shift


def _shifted(record: StrategyRecord, shift: timedelta) -> StrategyRecord:
    days = np.timedelta64(shift.days, "D")
    trades, shadow = record.trades, record.shadow
    if trades is not None:
        trades = replace(trades, exits=trades.exits + days, entries=trades.entries + days)
    if shadow is not None:
        shadow = replace(shadow, dates=shadow.dates + days, seen=shadow.seen + days)
    return replace(record, dates=record.dates + days, trades=trades, shadow=shadow)
