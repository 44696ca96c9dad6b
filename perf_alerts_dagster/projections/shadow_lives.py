"""Healthy twins of a shadowed strategy: how far live strays from its model where nothing changed.

Twins are drawn from the first 63 to 252 pairs, in blocks, without their mean and their slope. Each
learns its scales from its own first 63 rows, so that the error of what was learnt is in the
thresholds. A few pairs understate their tails: twins have outliers that were not seen yet, and the
noise after their first rows is a little higher or lower than that of the pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from perf_alerts_dagster.projections.calibration import LIVES, TAILS
from perf_alerts_dagster.projections.ports import ProjectionStore, StoredProjection
from perf_alerts_dagster.projections.watchers import YEAR
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.statistics.ewma_volatility import Floats32
from perf_alerts_dagster.statistics.shadow import pairs as shadow
from perf_alerts_dagster.statistics.shadow.pairs import CLIP, MINIMUM, REFERENCE, Pairs, pairs_of

# What is stored under this kind is made anew when the method changes, which its number says.
KIND = "shadow-1"
# The pairs that twins are drawn from grow by so many, up to so many, until a value is rare.
STEP, LONGEST = 21, 252
_QUIET = 0.03
# The part of the budget that each statistic has: what sees least has most.
PARTS = np.array([0.42, 0.15, 0.08, 0.35])
_BLOCK = 5
# Rows of a twin before the year that is watched, so that most windows are full.
_BEFORE = REFERENCE + 126
# The error of the log of the scale, times the root of the pairs.
_SCALE_ERROR = 0.8
# What few pairs cannot show, for so many rows: a move of the mean, in s, and one of the noise, as
# the standard deviation of its log.
_SLOW, _SLOW_MOVE, _BURST = 10, 0.15, 0.3
# The least outlier that was not seen yet, in s, and the index of their tail.
_UNSEEN, _TAIL = 4.0, 3.0
# Faults that are planted in twins, after so many rows, to say what is seen of them.
FAULTS = ("size 0.8", "lag", "sign of a tenth", "missed tenth", "cost 0.05 sd")
SEEN_WITHIN = (21, 63)
# One in so many lives as there are twins.
_PLANTED, _PLANTED_SHARE = 126, 10
_SHARES = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShadowCalibration:
    """The statistics of a year of healthy twins.

    `worst` (4, T) are the badnesses that `TAILS` of twins reach, `least` (T) the least shares,
    each over its part of the budget, that so many reach. `seen` maps a planted fault to the
    `p_year` (2, 101) that the quantiles of twins reach within 21 and 63 sessions. `first` is the
    first pair's date, `rows` are the pairs that twins are drawn from.
    """

    first: date
    rows: int
    worst: Floats
    least: Floats
    seen: Mapping[str, Floats]
    lives: int = LIVES

    def shares(self, values: Floats) -> Floats:
        """The share of twin years in which each statistic (4, ...) is as bad; 1 below its least."""
        shares = np.stack(
            [
                # As bad is at least as many days: those of twins lie just above.
                np.interp(value - 1e-3, worst[::-1], TAILS[::-1], left=1.0)
                for value, worst in zip(values, self.worst, strict=True)
            ]
        )
        return _judged(np.maximum(shares, 1.0 / (self.lives + 1)), values)

    def p_years(self, values: Floats) -> Floats:
        """The share of twin years in which the least share of the four (4, ...) is as small."""
        least = _least(self.shares(values))
        shares: Floats = np.interp(least, self.least, TAILS, left=0.0, right=1.0)
        return np.maximum(shares, 1.0 / (self.lives + 1))

    def share_at(self, level: float) -> float:
        """The least share, over its part, that `level` of twin years reach."""
        return float(np.interp(level, TAILS, self.least))

    def seen_at(self, level: float) -> dict[str, list[float]]:
        """The share of twins in which each fault is seen within 21 and 63 sessions at a level."""
        return {
            fault: [float(np.interp(level, within, _SHARES, left=0.0)) for within in reached]
            for fault, reached in self.seen.items()
        }


def _judged(shares: Floats, values: Floats) -> Floats:
    least = np.reshape(MINIMUM, (-1, *[1] * (values.ndim - 1)))
    found: Floats = np.where(values >= least, shares, 1.0)
    return found


def _least(shares: Floats) -> Floats:
    found: Floats = (shares / PARTS.reshape(-1, *[1] * (shares.ndim - 1))).min(axis=0)
    return found


def calibrate(pairs: Pairs, rows: int, seed: int, lives: int = LIVES) -> ShadowCalibration:
    """The year of healthy twins of the first `rows` pairs, and what is seen of planted faults."""
    generator = np.random.default_rng([seed, 5])
    pool = _Pool(pairs, rows)
    values = pool.twins(generator, lives, _BEFORE + YEAR)
    worst = _yearly(*values, pairs.learns)
    made = ShadowCalibration(
        first=pairs.dates[0].astype(object),
        rows=rows,
        worst=np.quantile(worst, 1.0 - TAILS, axis=1).T,
        least=TAILS,
        seen={},
        lives=lives,
    )
    made = replace(made, least=np.quantile(_least(made.shares(worst)), TAILS))
    seen = {fault: _seen(made, pool, fault, generator, pairs.learns) for fault in FAULTS}
    return replace(made, seen=seen)


def _yearly(differences: Floats, model: Floats, learns: bool) -> Floats:
    """The worst of each life's year (4, N), in parts that stay in the processor's cache."""
    parts = range(0, len(model), 500)
    return np.concatenate(
        [
            shadow.statistics(
                differences[first : first + 500], model[first : first + 500], learns=learns
            )[:, :, _BEFORE - REFERENCE + 1 :].max(axis=2)
            for first in parts
        ],
        axis=1,
    )


class _Pool:
    """The pairs that twins are drawn from, without their mean and their slope."""

    def __init__(self, pairs: Pairs, rows: int) -> None:
        self.model = pairs.shadow[:rows].astype(np.float32)
        differences = pairs.differences[:rows]
        middle = np.median(differences)
        self.deviation = float(pairs.shadow[:rows].std())
        noise = 1.4826 * float(np.median(np.abs(differences - middle)))
        self.noise = max(noise, shadow.LEAST_NOISE * self.deviation)
        q = np.clip(pairs.shadow[:rows] / self.deviation, -CLIP, CLIP)
        left = differences - middle
        for _ in range(5):
            u = np.clip(left / self.noise, -CLIP, CLIP)
            inside = np.abs(u) < CLIP
            share, square = (max(float(each.mean()), 0.1) for each in (inside, inside * q * q))
            left = left - self.noise * (u.mean() / share + q * ((u * q).mean() / square))
        self.differences = left.astype(np.float32)

    def twins(self, generator: np.random.Generator, lives: int, days: int) -> tuple[Floats, Floats]:
        """Differences and the model's P&L of twins (N, days)."""
        rows = len(self.model)
        starts = generator.integers(0, rows, (lives, -(-days // _BLOCK)), dtype=np.int32)
        places = (starts[:, :, None] + np.arange(_BLOCK, dtype=np.int32)) % rows
        places = places.reshape(lives, -1)[:, :days]
        differences = self.differences[places]
        unseen = generator.beta(0.5, rows + 0.5, (lives, 1)).astype(np.float32)
        hit = generator.random((lives, days), dtype=np.float32) < unseen
        sizes = self.noise * _UNSEEN * generator.random(hit.sum()) ** (-1.0 / _TAIL)
        differences[hit] = np.where(generator.random(len(sizes)) < 0.5, -sizes, sizes)
        differences *= np.exp(np.float32(_BURST) * _for_rows(generator, lives, days))
        moves = _for_rows(generator, lives, days)
        differences += np.float32(_SLOW_MOVE * self.noise) * moves
        errors = generator.standard_normal((lives, 1), dtype=np.float32)
        differences[:, REFERENCE:] *= np.exp(np.float32(_SCALE_ERROR / np.sqrt(rows)) * errors)
        return differences, self.model[places]


def _for_rows(generator: np.random.Generator, lives: int, days: int) -> Floats32:
    """Normal numbers (N, days), each for ten rows."""
    drawn = generator.standard_normal((lives, -(-days // _SLOW)), dtype=np.float32)
    return np.repeat(drawn, _SLOW, axis=1)[:, :days]


def _seen(
    calibration: ShadowCalibration,
    pool: _Pool,
    fault: str,
    generator: np.random.Generator,
    learns: bool,
) -> Floats:
    """The quantiles of the least `p_year` within 21 and 63 sessions of a planted fault (2, 101)."""
    noise, model = pool.twins(
        generator, calibration.lives // _PLANTED_SHARE, _PLANTED + SEEN_WITHIN[-1]
    )
    differences, after = noise.copy(), slice(_PLANTED, None)
    m, tenth = model[:, after], np.float32(0.1)
    extent: Any = m.shape
    match fault:
        case "size 0.8":
            differences[:, after] -= np.float32(0.2) * m
        case "lag":
            differences[:, after] += model[:, _PLANTED - 1 : -1] - m
        case "sign of a tenth":
            # Ten instruments alike, each independent of the others.
            other = generator.standard_normal(extent, dtype=np.float32) * np.float32(
                0.3 * pool.deviation
            )
            differences[:, after] -= 2.0 * (tenth * m + other)
        case "missed tenth":
            missed = generator.random(extent, dtype=np.float32) < tenth
            differences[:, after] = np.where(missed, -m, differences[:, after])
        case _:
            differences[:, after] -= np.float32(0.05 * pool.deviation)
    values = shadow.statistics(differences, model, learns=learns)
    path = calibration.p_years(values[:, :, _PLANTED - REFERENCE + 1 :])
    return np.stack([np.quantile(path[:, :rows].min(axis=1), _SHARES) for rows in SEEN_WITHIN])


def in_force(store: ProjectionStore, as_of: date) -> dict[str, ShadowCalibration]:
    """The newest calibration of each strategy with a shadow, as of a date."""
    stored = store.projections(kind=KIND, on_or_before=as_of)
    return {name: _unpacked(each) for name, each in stored.items()}


def _unpacked(stored: StoredProjection) -> ShadowCalibration:
    seen = {name: stored.arrays[f"seen:{name}"] for name in FAULTS}
    return ShadowCalibration(
        first=date.fromisoformat(str(stored.facts["first"])),
        rows=stored.horizon,
        worst=np.asarray(stored.arrays["worst"]),
        least=np.asarray(stored.arrays["least"]),
        seen=seen,
        lives=int(str(stored.facts["lives"])),
    )


def due(store: ProjectionStore, reading: Reading, as_of: date) -> dict[str, tuple[Pairs, int]]:
    """The strategies whose twins are due: their pairs, and from how many of them twins are drawn.

    At 63 pairs, then with each 21 more up to 252, until the first pair at which a value is rare:
    what may be a fault is not learnt as normal. A new version of the model begins anew.
    """
    found: dict[str, tuple[Pairs, int]] = {}
    known: Mapping[str, ShadowCalibration] | None = None
    for name, record in sorted(reading.records.strategies.items()):
        if record.shadow is None:
            continue
        known = in_force(store, as_of) if known is None else known
        record = record.until(as_of)
        pairs = pairs_of(record, record.shadow) if record.shadow and len(record) else None
        rows = None if pairs is None else rows_due(pairs, known.get(name))
        if pairs is not None and rows is not None:
            found[name] = (pairs, rows)
    return found


def rows_due(pairs: Pairs, known: ShadowCalibration | None) -> int | None:
    """From how many pairs twins are due, by those that are known; None where none are."""
    if len(pairs) < REFERENCE or not pairs.varies:
        return None
    if known is None or known.first != pairs.dates[0].astype(object):
        return REFERENCE
    most = min(len(pairs), LONGEST)
    if most < known.rows + STEP:
        return None
    path = known.p_years(pairs.statistics()[:, known.rows - REFERENCE + 1 : most - REFERENCE + 1])
    rare = np.flatnonzero(path <= _QUIET)
    steps = (int(rare[0]) if len(rare) else len(path)) // STEP
    return known.rows + STEP * steps if steps else None


def issue(
    store: ProjectionStore, reading: Reading, as_of: date, *, run_id: str, settings_version: str
) -> None:
    """Draw the twins that are due, until none are; each is dated by the last pair of its own."""
    while members := due(store, reading, as_of):
        stored = []
        for name, (pairs, rows) in members.items():
            day: date = pairs.dates[rows - 1].astype(object)
            # Settings change no twin: the day alone does.
            seed = day.toordinal()
            made = calibrate(pairs, rows, seed)
            stored.append(
                StoredProjection(
                    strategy=name,
                    kind=KIND,
                    issued_on=day,
                    horizon=rows,
                    seed=seed,
                    settings_version=settings_version,
                    data_hash=reading.records.strategies[name].until(day).content_hash(),
                    run_id=run_id,
                    facts={"first": made.first.isoformat(), "lives": made.lives},
                    arrays={
                        "worst": made.worst,
                        "least": made.least,
                        **{f"seen:{fault}": values for fault, values in made.seen.items()},
                    },
                )
            )
        store.save_projections(stored)
