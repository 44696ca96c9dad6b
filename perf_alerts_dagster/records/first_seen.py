"""When each row of a shadow was first read: a row that comes late may have been made afterwards.

Of every row the first value that was read and the newest one are kept, each with the session at
which it was first read. So a bad upload that is corrected dates nothing anew, and a source that
changes for ever does not make the store grow.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.desk import FirstSeen
from perf_alerts_dagster.records.model import RecordFault, Shadow, StrategyRecord, TrackRecords

# Days since 1970-01-01, by row; the first reading of a shadow is undated.
_ROW = np.dtype([("day", "<i4"), ("seen", "<i4"), ("value", "<f8")])
_UNDATED = np.iinfo(np.int32).min
_DATE = "datetime64[D]"
# A shadow that is computed anew adds up in another order.
_TOLERANCE, _ROUNDING = 1e-9, 1e-15

_Rows = NDArray[np.void]


def with_first_seen(records: TrackRecords, kept: FirstSeen) -> tuple[TrackRecords, FirstSeen]:
    """The records with dated shadows, and what is new and to be kept.

    A row is dated by the newest session of its own strategy that the source holds, whatever date
    is judged; later rows of others date nothing. Where the table of shadows cannot be used, the
    strategies that had one have its fault.
    """
    strategies = dict(records.strategies)
    new: dict[tuple[str, str], bytes] = {}
    fault = records.shadow_fault
    stored: dict[str, list[bytes]] = {}
    for (name, _), rows in sorted(kept.items()):
        stored.setdefault(name, []).append(rows)
    for name, record in records.strategies.items():
        shadow = record.shadow
        if shadow is None and fault is not None and name in stored:
            strategies[name] = replace(record, shadow=_unread(replace(fault, strategy=name)))
        if shadow is None or not len(shadow):
            continue
        before = np.frombuffer(b"".join(stored.get(name, ())), dtype=_ROW)
        dated, months = _dated(record, shadow, before)
        strategies[name] = replace(record, shadow=dated)
        new.update({(name, month): rows for month, rows in months.items()})
    return replace(records, strategies=strategies), new


def _unread(fault: RecordFault) -> Shadow:
    none = np.empty(0)
    days = none.astype(_DATE)
    words = none.astype(np.str_)
    return Shadow(dates=days, returns=none, costs=none, versions=words, seen=days, faults=(fault,))


def _dated(
    record: StrategyRecord, shadow: Shadow, stored: _Rows
) -> tuple[Shadow, Mapping[str, bytes]]:
    """The shadow with the sessions of its first readings; the months that are to be kept anew.

    `stored` are the rows that are kept, by day, of each day the first value first.
    """
    days = shadow.dates.astype(_DATE).astype(np.int64)
    newest = record.dates[-1].astype(_DATE).astype(np.int64)
    rows = np.empty(len(days), dtype=_ROW)
    rows["day"], rows["value"] = days, shadow.returns
    rows["seen"] = np.maximum(days, newest) if len(stored) else _UNDATED
    is_new = np.full(len(days), True)
    first = np.searchsorted(stored["day"], days)
    last = np.searchsorted(stored["day"], days, side="right") - 1
    # The first value last, since it counts where both are alike.
    for places in (last, first) if len(stored) else ():
        kept = stored[np.clip(places, 0, len(stored) - 1)]
        alike = (kept["day"] == days) & np.isclose(
            kept["value"], shadow.returns, rtol=_TOLERANCE, atol=_ROUNDING
        )
        rows["seen"] = np.where(alike, kept["seen"], rows["seen"])
        is_new &= ~alike
    seen = rows["seen"].astype(np.int64).astype(_DATE)
    seen[rows["seen"] == _UNDATED] = np.datetime64("NaT")
    return replace(shadow, seen=seen), _merged(stored, rows[is_new])


def _merged(stored: _Rows, new: _Rows) -> dict[str, bytes]:
    """The months of new rows, with the rows that are kept beside them."""
    is_first = np.append(True, stored["day"][1:] != stored["day"][:-1])[: len(stored)]
    kept = stored[is_first | ~np.isin(stored["day"], new["day"])]
    rows = np.concatenate([kept, new])
    rows = rows[np.argsort(rows["day"], kind="stable")]
    months = rows["day"].astype(np.int64).astype(_DATE).astype("datetime64[M]")
    changed = np.unique(new["day"].astype(np.int64).astype(_DATE).astype("datetime64[M]"))
    return {str(month): rows[months == month].tobytes() for month in changed}
