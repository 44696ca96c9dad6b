"""Content hashes of final rows, by month: what tells a restatement."""

import hashlib
from datetime import date

import numpy as np

from perf_alerts_dagster.domain.record import StrategyRecord


def month_hashes(record: StrategyRecord, last_final: date) -> dict[str, str]:
    """Hash the rows dated on or before `last_final`, by month `YYYY-MM`.

    A value is `<last date hashed>:<SHA-256>`: the running month grows, and is compared over the
    rows that were there when it was hashed (`is_restated`).
    """
    known = record.until(last_final)
    months = known.dates.astype("datetime64[M]")
    turns = np.flatnonzero(np.r_[True, months[1:] != months[:-1]]) if len(known) else ()
    starts = [int(one) for one in turns]
    stops = [*starts[1:], len(known)]
    return {
        str(months[first]): f"{known.dates[stop - 1]}:{_hash(known, first, stop)}"
        for first, stop in zip(starts, stops, strict=True)
    }


def is_restated(record: StrategyRecord, month: str, kept: str) -> bool:
    """Whether the rows of `month`, up to the date that `kept` was made at, have changed."""
    last, _, _ = kept.partition(":")
    first = int(np.searchsorted(record.dates, np.datetime64(month, "D"), side="left"))
    stop = int(np.searchsorted(record.dates, np.datetime64(last, "D"), side="right"))
    if stop <= first:
        return True
    return f"{record.dates[stop - 1]}:{_hash(record, first, stop)}" != kept


def _hash(record: StrategyRecord, first: int, stop: int) -> str:
    digest = hashlib.sha256()
    for values in (
        record.dates[first:stop].astype("datetime64[D]").astype(np.int64),
        record.returns[first:stop],
        record.live[first:stop],
        *(values[first:stop] for _, values in sorted(record.extras.items())),
    ):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
