"""Live against the same model's own P&L of the same dates: four statistics of the differences.

The difference of a pair is d = live - shadow + expected cost: a cost lowers what live makes, so
that a strategy that pays just what is expected has differences of 0 in the mean. Their noise s is
learnt from the first 63 pairs. Rows run along the last axis: one life and many are the same code.
Sources: Perold, JPM 14(3), 1988; Page, Biometrika 41, 1954; Huber, Ann. Math. Statist. 35, 1964.
"""

from dataclasses import dataclass

import numpy as np

from perf_alerts_dagster.records.desk import LATE
from perf_alerts_dagster.records.model import Dates, Flags, Floats, Shadow, StrategyRecord

# The pairs that the scales are learnt from.
REFERENCE = 63
# The statistics: drift (M); size, lag and sign (B); tracking error (T); single days (J).
STATISTICS = ("drift", "slope", "tracking", "days")
# The least badness of each that is ever a breach.
MINIMUM = (3.0, 3.0, 3.0, 4.0)
# Windows in pairs. Sums of fewer pairs have tails that would cost the longer ones their power.
DRIFT_WINDOWS = (21, 42, 63, 126, 252)
SLOPE_WINDOWS = (10, 21, 42, 63, 126)
TRACKING_WINDOWS = (5, 10, 21, 42, 63)
FAR_WINDOW, MISSED_WINDOW = 21, 63
# A difference counts as at most so many s, and is far from the model beyond so many.
CLIP, FAR = 3.0, 6.0
# A missed day: live is within so many s of 0 where the model is beyond so many.
FLAT, TRADED = 1.5, 5.0
# s is at least this share of the model's standard deviation: rounding is no noise.
LEAST_NOISE = 1e-4
# The variances of u, u q and u squared under a normal law, clipped, and after how many pairs the
# strategy's own count as much: with 63 alone their error would be the largest part of a threshold.
_USUAL = (1.2, 1.2, 1.7)
_WORTH = 63
# The standard errors from 0 at which a mean or a slope of the first pairs is learnt as normal.
_SURE = 2.5
# The standard deviation of a normal law in median absolute deviations.
_NORMAL = 1.4826


# Late rows are counted among so many sessions, as a slope is.
LATE_WINDOW = 126


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scales:
    """What the first 63 pairs of each life (N) say, each (N, 1).

    `noise` is s and `deviation` the model's standard deviation, in the unit of returns. `offset`
    is the mean of the differences and `slope` that of u q, both 0 unless learnt as normal.
    """

    noise: Floats
    deviation: Floats
    offset: Floats
    slope: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Live rows and shadow rows of the same dates (n), of the newest version of the model.

    `places` are the live rows' in the record, `differences` d. `learns`: no costs are stated, so
    that a mean difference of the first pairs is learnt as normal. `late` rows of the version, of
    the newest 126 sessions, were left out, `undated` ones were there at the first reading.
    """

    dates: Dates
    places: np.ndarray
    live: Floats
    shadow: Floats
    differences: Floats
    learns: bool
    version: str
    late: int
    undated: int

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.dates)

    @property
    def varies(self) -> bool:
        """Whether the model's P&L varies within the first 63 pairs."""
        return bool(self.shadow[:REFERENCE].std() > 0.0)

    @property
    def scales(self) -> Scales:
        """What the first 63 pairs say."""
        return scales_of(self.differences[None], self.shadow[None], learns=self.learns)

    def statistics(self) -> Floats:
        """The four statistics (4, n - 62) after each pair from the 63rd on; of at least 63."""
        return statistics(self.differences[None], self.shadow[None], learns=self.learns)[:, 0]


def pairs_of(record: StrategyRecord, shadow: Shadow) -> Pairs:
    """The pairs that are evidence, of the newest version of the model.

    A version begins anew after another one, and with the first row on which the model has P&L; a
    row that states none has that of the row before.
    """
    stated = np.where(shadow.versions != "", np.arange(len(shadow)), -1)
    versions = np.concatenate([[""], shadow.versions])[np.maximum.accumulate(stated) + 1]
    begins = np.flatnonzero(versions != versions[-1:]) if len(shadow) else np.array([-1])
    newest = np.arange(len(shadow)) > (begins[-1] if len(begins) else -1)
    sessions = record.dates
    seen = np.where(np.isnat(shadow.seen), shadow.dates, shadow.seen)
    age = np.searchsorted(sessions, seen, "right") - np.searchsorted(
        sessions, shadow.dates, "right"
    )
    paired = newest & np.isin(shadow.dates, sessions[record.live])
    chosen = paired & (age <= LATE)
    chosen &= np.logical_or.accumulate(chosen & (shadow.returns != 0.0))
    places = np.searchsorted(sessions, shadow.dates[chosen])
    is_late = paired & (age > LATE) & np.isin(shadow.dates, sessions[-LATE_WINDOW:])
    live, model = record.returns[places], shadow.returns[chosen]
    return Pairs(
        dates=shadow.dates[chosen],
        places=places,
        live=live,
        shadow=model,
        differences=live - model + shadow.costs[chosen],
        learns=not shadow.costs[chosen].any(),
        version=str(versions[-1]) if len(shadow) else "",
        late=int(is_late.sum()),
        undated=int(np.isnat(shadow.seen[chosen]).sum()),
    )


def scales_of(differences: Floats, shadow: Floats, *, learns: bool) -> Scales:
    """The scales of lives (N, rows) from their first 63 rows.

    `learns`: a mean that is surely not 0 is learnt as normal; else it is judged against 0.
    """
    d, m = differences[:, :REFERENCE], shadow[:, :REFERENCE]
    deviation = m.std(axis=1, keepdims=True)
    middle = np.median(d, axis=1, keepdims=True)
    noise = _NORMAL * np.median(np.abs(d - middle), axis=1, keepdims=True)
    noise = np.maximum(noise, LEAST_NOISE * deviation)
    offset = noise * _sure(clipped(d, noise)) if learns else np.zeros_like(noise)
    products = clipped(d - offset, noise) * clipped(m, deviation)
    return Scales(noise=noise, deviation=deviation, offset=offset, slope=_sure(products))


def clipped(values: Floats, scale: Floats) -> Floats:
    """Values in their scale, none beyond 3; 0 where the scale is."""
    scaled: Floats = values / np.where(scale > 0.0, scale, np.inf).astype(values.dtype)
    return np.clip(scaled, -CLIP, CLIP, out=scaled)


def _sure(values: Floats) -> Floats:
    """The means (N, 1) that are surely not 0; 0 for the others."""
    mean = values.mean(axis=1, keepdims=True)
    error = values.std(axis=1, keepdims=True) / np.sqrt(values.shape[1])
    found: Floats = np.where(np.abs(mean) > _SURE * error, mean, np.zeros_like(mean))
    return found


def missed_days(live: Floats, shadow: Floats, noise: Floats) -> Flags:
    """The days on which live was flat and the model was not."""
    found: Flags = (np.abs(live) <= FLAT * noise) & (np.abs(shadow) > TRADED * noise)
    return found


def statistics(differences: Floats, shadow: Floats, *, learns: bool) -> Floats:
    """The four statistics (4, N, rows - 62) of lives (N, rows), after each row from the 63rd on.

    Badness: larger is worse. `learns` is that of `scales_of`. A learnt mean has its error in the
    sums, as the mean tracking error has, which is always learnt.
    """
    scales = scales_of(differences, shadow, learns=learns)
    differences = differences - scales.offset
    u, q = clipped(differences, scales.noise), clipped(shadow, scales.deviation)
    slopes, squares = u * q - scales.slope, u * u
    squares -= squares[:, :REFERENCE].mean(axis=1, keepdims=True)
    far = np.abs(differences) > FAR * scales.noise
    missed = missed_days(shadow + differences, shadow, scales.noise)
    # Two missed days are as rare as four far ones.
    days = np.maximum(
        _sums(far, FAR_WINDOW)[:, REFERENCE:], _sums(missed, MISSED_WINDOW)[:, REFERENCE:] + 2
    )
    return np.stack(
        [
            _largest(_standard(-u, 0), DRIFT_WINDOWS, scales.offset != 0.0),
            _largest(_standard(slopes, 1), SLOPE_WINDOWS, scales.slope != 0.0, two_sided=True),
            _largest(_standard(squares, 2), TRACKING_WINDOWS, np.True_),
            days,
        ]
    )


def _standard(values: Floats, place: int) -> Floats:
    variance = values[:, :REFERENCE].var(axis=1, keepdims=True)
    variance = (REFERENCE * variance + _WORTH * _USUAL[place]) / (REFERENCE + _WORTH)
    found: Floats = values / np.sqrt(variance)
    return found


def _sums(values: Floats | Flags, window: int) -> Floats:
    """Sums of the last `window` rows, or of a life's first ones, (N, rows + 1)."""
    total = np.zeros((len(values), values.shape[1] + 1), dtype=np.float32)
    np.cumsum(values, axis=1, out=total[:, 1:], dtype=np.float32)
    total[:, window:] -= total[:, :-window].copy()
    return total


def _largest(
    values: Floats, windows: tuple[int, ...], learnt: Flags | np.bool_, *, two_sided: bool = False
) -> Floats:
    """The largest standardised sum of full windows, after each row from the 63rd on."""
    total = np.zeros((len(values), values.shape[1] + 1), dtype=values.dtype)
    np.cumsum(values, axis=1, out=total[:, 1:])
    rows = values.shape[1] - REFERENCE + 1
    largest = np.full((len(values), rows), -np.inf, dtype=values.dtype)
    for window in windows:
        first = max(window - REFERENCE, 0)
        sums = total[:, REFERENCE + first :] - total[:, REFERENCE + first - window : -window]
        if two_sided:
            np.abs(sums, out=sums)
        sums /= np.sqrt(window * (1.0 + learnt * (window / REFERENCE))).astype(values.dtype)
        np.maximum(largest[:, first:], sums, out=largest[:, first:])
    return largest
