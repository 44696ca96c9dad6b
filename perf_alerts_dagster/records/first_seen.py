"""When each row of a shadow was first read: a row that comes late may have been made afterwards.

Of every row the first value that was read and the newest one are kept, each with the newest session
that had been read without it, or its own date. So a bad upload that is corrected dates nothing
anew, and a source that changes for ever does not make the store grow.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.desk import FirstSeen
from perf_alerts_dagster.records.model import RecordFault, Shadow, TrackRecords

# Days since 1970-01-01, by row; the first reading of a shadow is undated.
_ROW = np.dtype([("day", "<i4"), ("seen", "<i4"), ("value", "<f8")])
_UNDATED = np.iinfo(np.int32).min
_DATE = "datetime64[D]"
_GONE = "no row is left"
# Beside the months: the newest session of the strategy at any reading, NaT where a person accepted
# that its shadow is gone.
_READ = "read"
# A shadow that is computed anew adds up in another order.
_TOLERANCE, _ROUNDING = 1e-9, 1e-15

_Rows = NDArray[np.void]


def with_first_seen(records: TrackRecords, kept: FirstSeen) -> tuple[TrackRecords, FirstSeen]:
    """The records with dated shadows, and what is new and to be kept.

    A row is dated by the newest session of its own strategy at the reading before, which lacked
    it: sessions that were read together with it make it no later. Strategies that had a shadow
    and have none, or whose table of shadows cannot be used, have that as its fault.
    """
    strategies = dict(records.strategies)
    new: dict[tuple[str, str], bytes] = {}
    stored: dict[str, dict[str, bytes]] = {}
    for (name, month), rows in sorted(kept.items()):
        stored.setdefault(name, {})[month] = rows
    for name, record in records.strategies.items():
        months, shadow = stored.get(name, {}), record.shadow
        if not months and not shadow:
            continue
        newest = record.dates[-1].astype(_DATE)
        read = np.datetime64(months.pop(_READ, b"NaT").decode(), "D")
        before = np.frombuffer(b"".join(months.values()), dtype=_ROW)
        if shadow is None and np.isnat(read):
            continue
        if shadow is None:
            fault = records.shadow_fault or _gone(before)
            strategies[name] = replace(record, shadow=_unread(replace(fault, strategy=name)))
        elif len(shadow):
            dated, changed = _dated(shadow, before, min(read, newest))
            strategies[name] = replace(record, shadow=dated)
            new.update({(name, month): rows for month, rows in changed.items()})
        if not newest <= read:
            new[name, _READ] = str(newest).encode()
    return replace(records, strategies=strategies), new


def without_gone(records: TrackRecords) -> FirstSeen:
    """What is to be kept where a person accepts that the shadows that are gone have ended."""
    gone = {
        name
        for name, record in records.strategies.items()
        if record.shadow is not None
        and any(fault.rule.startswith(_GONE) for fault in record.shadow.faults)
    }
    return {(name, _READ): b"NaT" for name in sorted(gone)}


def _gone(before: _Rows) -> RecordFault:
    newest = before["day"].max().astype(np.int64).astype(_DATE)
    rule = f"{_GONE} of those that were read before, the newest of {newest}"
    return RecordFault(where="shadow", rule=rule)


def _unread(fault: RecordFault) -> Shadow:
    none = np.empty(0)
    days = none.astype(_DATE)
    words = none.astype(np.str_)
    return Shadow(dates=days, returns=none, costs=none, versions=words, seen=days, faults=(fault,))


def _dated(
    shadow: Shadow, stored: _Rows, read: np.datetime64
) -> tuple[Shadow, Mapping[str, bytes]]:
    """The shadow with the sessions of its first readings; the months that are to be kept anew.

    `stored` are the rows that are kept, by day, of each day the first value first; `read` is the
    newest session of the strategy at the reading before, NaT where it is not known.
    """
    days = shadow.dates.astype(_DATE).astype(np.int64)
    rows = np.empty(len(days), dtype=_ROW)
    rows["day"], rows["value"] = days, shadow.returns
    lacking = days if np.isnat(read) else np.maximum(days, read.astype(np.int64))
    rows["seen"] = lacking if len(stored) else _UNDATED
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
