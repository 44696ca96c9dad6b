"""Content hashes of final rows by month, which detect restatements and their days."""

import hashlib
from collections.abc import Mapping
from datetime import date

import numpy as np
from numpy.typing import NDArray

from perf_alerts_dagster.records.model import Floats, StrategyRecord

# An odd number whose bits are mixed well (the golden ratio in 64 bits).
_MIX = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = "no rows"
_NOTHING = f":{_EMPTY}:"


def month_hashes(record: StrategyRecord, last_final: date) -> dict[str, str]:
    """Hash the rows dated on or before `last_final`, by month `YYYY-MM`.

    A value is `<last date hashed>:<SHA-256>:<marks>`. The running month is compared over the days
    that were hashed. The marks, four bytes per row, only locate the changed days.
    """
    known = record.until(last_final)
    months = known.dates.astype("datetime64[M]")
    marks = _marks(known)
    changes = np.flatnonzero(np.r_[True, months[1:] != months[:-1]]) if len(known) else ()
    starts = [int(start) for start in changes]
    stops = [*starts[1:], len(known)][: len(starts)]
    hashes = {}
    for first, stop in zip(starts, stops, strict=True):
        digest, marked = _hash(known, first, stop), marks[first:stop].tobytes().hex()
        hashes[str(months[first])] = f"{known.dates[stop - 1]}:{digest}:{marked}"
    return hashes


def emptied_month(old: str) -> str:
    """The hash to store for a month whose rows were all removed from the source."""
    return f"{old.partition(':')[0]}:{_EMPTY}:"


def newest_hashed(old: Mapping[str, str]) -> date:
    """The last day that one strategy's stored hashes cover."""
    return date.fromisoformat(max(value.partition(":")[0] for value in old.values()))


def restated_months(record: StrategyRecord, old: Mapping[str, str]) -> dict[str, tuple[date, ...]]:
    """The months whose final rows differ from the hashed ones, each with the changed days.

    Args:
        record: The strategy's current rows.
        old: Its stored hashes by month, from `month_hashes`.

    Returns:
        The days by month, rising; no days where the hash has no marks.
    """
    now = month_hashes(record, newest_hashed(old))
    restated = {}
    for month in sorted({*old, *now}):
        before, after = old.get(month, _NOTHING), now.get(month, _NOTHING)
        if _content(before) != _content(after):
            restated[month] = _changed_days(month, before, after)
    return restated


def _content(old: str) -> tuple[str, str]:
    last, digest, *_ = old.split(":")
    # Without rows the last date does not matter.
    return (last if digest != _EMPTY else "", digest)


def _changed_days(month: str, before: str, after: str) -> tuple[date, ...]:
    """The days whose row was changed, added or removed."""
    if before.count(":") < 2:
        return ()
    differing = _unpacked(before) ^ _unpacked(after)
    days = sorted({mark >> 24 for mark in differing})
    return tuple(date.fromisoformat(f"{month}-{number:02d}") for number in days)


def _unpacked(old: str) -> set[int]:
    marks = bytes.fromhex(old.rpartition(":")[2])
    return set(np.frombuffer(marks, dtype=">u4").tolist())


def _hash(record: StrategyRecord, first: int, stop: int) -> str:
    digest = hashlib.sha256()
    for values in (
        record.dates[first:stop].astype("datetime64[D]").astype(np.int64),
        record.returns[first:stop],
        record.live[first:stop],
        *(values[first:stop] for _, values in sorted(record.extras.items())),
    ):
        digest.update(values.tobytes())
    return digest.hexdigest()


def _marks(record: StrategyRecord) -> NDArray[np.uint32]:
    """Four bytes per row: the day of the month, then three bytes of a digest of its values."""
    days = record.dates.astype("datetime64[D]")
    mixed = _bits(record.returns) * _MIX + record.live.astype(np.uint64)
    for _, values in sorted(record.extras.items()):
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX + _bits(values)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX
    in_month = (days - days.astype("datetime64[M]")).astype(np.uint64) + np.uint64(1)
    marks: NDArray[np.uint32] = (in_month << np.uint64(24)) | (mixed >> np.uint64(40))
    return marks.astype(">u4")


def _bits(values: Floats) -> NDArray[np.uint64]:
    return np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
