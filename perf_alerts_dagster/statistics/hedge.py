"""The hedge of a strategy by its declared benchmark: what is left is judged with less noise.

Beta is of least squares. A hedge is used only where it takes enough of the variance of rows that
it was not fitted on (hedging effectiveness: Ederington, J. Finance 34, 1979). Principal components
of the other strategies are added only where they take clearly more of it: what all strategies of a
desk lose together would be hedged away by them.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

import numpy as np

from perf_alerts_dagster.records.groups import is_group
from perf_alerts_dagster.records.model import Dates, Flags, Floats, StrategyRecord
from perf_alerts_dagster.statistics.decay import DecayReference, decay_reference

MINIMUM_ROWS = 252
# The least share of the variance of the second half that a hedge fitted on the first half takes.
MINIMUM_R2 = 0.3
# Beyond this share of all rows the benchmark is the strategy, and nothing is left to judge.
_MAXIMUM_R2 = 0.9999
# What components must add to the share, how many there are at most, and of how many strategies.
_ADDED = 0.05
_COMPONENTS = 2
_OTHERS = 50
# The least share of the rows on which the others have one.
_COVERED = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hedge:
    """What is hedged of a strategy, fitted on its reference's `rows` with a benchmark.

    A hedged row is r - beta (F - mean) - the sum of weight (f - its mean) over `loadings`, which
    have the weight and mean of other strategies by name: its mean is the strategy's own. `r2` is
    the share of the variance that is taken out of sample, `r2_benchmark` that by the benchmark
    alone. `components` are those that the loadings are made of, `factors` is a hash of the
    factors' rows. `decay` is what hedged decay is measured against, None where nothing is hedged,
    and `edge` the mean of a hedged row in standard deviations.
    """

    rows: int
    r2: float = 0.0
    r2_benchmark: float = 0.0
    beta: float = 0.0
    mean: float = 0.0
    components: int = 0
    loadings: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    factors: str = ""
    decay: DecayReference | None = None
    edge: float = 0.0

    def hedged(
        self, record: StrategyRecord, records: Mapping[str, StrategyRecord]
    ) -> tuple[Floats, str]:
        """The record's hedged simple returns (n), and a hash of the factors' rows.

        They are NaN where the benchmark or one of the other strategies has no row.
        """
        benchmark = np.full(len(record), np.nan) if record.benchmark is None else record.benchmark
        others = rows_on(records, self.loadings, record.dates)
        rows = record.returns - self.beta * (benchmark - self.mean)
        for (weight, mean), values in zip(self.loadings.values(), others.T, strict=True):
            rows = rows - weight * (values - mean)
        factors = hashlib.sha256(benchmark.tobytes() + others.tobytes()).hexdigest()
        return np.where(np.isfinite(rows), rows, np.nan), factors


class Others:
    """The strategies that components are made of, with their rows on all of their dates."""

    def __init__(self, records: Mapping[str, StrategyRecord]) -> None:
        """Groups among the records are left out: they are made of the others."""
        self.records = {name: one for name, one in sorted(records.items()) if not is_group(name)}
        self._names = tuple(self.records)

    @cached_property
    def _dates(self) -> Dates:
        return np.unique(np.concatenate([one.dates for one in self.records.values()]))

    @cached_property
    def _standardised(self) -> tuple[Floats, Floats]:
        """All rows (days, strategies) in standard deviations, 0 where there is none; and which."""
        rows = rows_on(self.records, self._names, self._dates)
        there = np.isfinite(rows)
        counts = np.maximum(there.sum(axis=0), 1)
        rows[~there] = 0.0
        rows -= there * (rows.sum(axis=0) / counts)
        rows /= np.maximum(np.sqrt((rows * rows).sum(axis=0) / counts), 1e-12)
        return rows.astype(np.float32), there

    def closest(self, strategy: str, dates: Dates, returns: Floats) -> list[str]:
        """The names of the others that correlate most with these rows, and have most of them."""
        if len(self._names) < 2:
            return []
        places = np.searchsorted(self._dates, dates)
        is_whole = places[-1] - places[0] + 1 == len(places)
        # A view, where no day lies between two of the rows.
        days = slice(places[0], places[-1] + 1) if is_whole else places
        rows, there = (each[days] for each in self._standardised)
        alike = np.abs((returns - returns.mean()).astype(np.float32) @ rows)
        counts = there.sum(axis=0)
        closest = (
            self._names[place]
            for place in np.argsort(-alike, kind="stable")
            if counts[place] >= _COVERED * len(dates) and self._names[place] != strategy
        )
        return list(islice(closest, _OTHERS))


def rows_on(records: Mapping[str, StrategyRecord], names: Collection[str], dates: Dates) -> Floats:
    """The returns of strategies on dates (n, strategies), NaN where one has no row."""
    found = np.full((len(dates), len(names)), np.nan)
    for column, record in zip(found.T, map(records.get, names), strict=True):
        if record is not None and len(record):
            places = np.minimum(np.searchsorted(record.dates, dates), len(record) - 1)
            column[:] = np.where(record.dates[places] == dates, record.returns[places], np.nan)
    return found


def hedge_of(
    reference: StrategyRecord, others: Callable[[], Others], *, haircut: float = 0.0
) -> Hedge | None:
    """The hedge of a strategy by its reference's rows; None without a benchmark.

    Args:
        reference: The rows that decay is measured against, oldest first.
        others: Gives the strategies of the desk; called only where they may help.
        haircut: The share of a positive mean that is taken off it.
    """
    if reference.benchmark is None:
        return None
    known: Flags = np.isfinite(reference.benchmark)
    dates, returns = reference.dates[known], reference.returns[known]
    benchmark = reference.benchmark[known, np.newaxis]
    if len(dates) < MINIMUM_ROWS:
        return Hedge(rows=len(dates)) if len(dates) else None
    alone = _out_of_sample(returns, benchmark, len(dates) // 2)
    found = Hedge(rows=len(dates), r2=alone, r2_benchmark=alone)
    if alone < MINIMUM_R2:
        return found
    beta, mean = float(_slopes(returns, benchmark)[0]), float(benchmark.mean())
    found, desk = replace(found, beta=beta, mean=mean), others()
    wider = _with_components(found, reference.strategy, dates, returns, benchmark, desk)
    for hedge in (wider, found):
        if (measured := _measured(hedge, reference, desk, haircut)) is not None:
            return measured
    return found


def against_own(scores: Floats, first: int) -> Floats:
    """Each score from position `first` on beside the mean of all before it, in its own deviations.

    Recursive residuals (Brown, Durbin, Evans, J. R. Statist. Soc. B 37, 1975): where the mean has
    not changed they are as the scores themselves, whatever it is.
    """
    counts = np.arange(first, len(scores))
    means = np.cumsum(scores)[first - 1 : -1] / counts if len(counts) else counts
    found: Floats = (scores[first:] - means) / np.sqrt(1.0 + 1.0 / counts)
    return found


def _measured(
    hedge: Hedge | None, reference: StrategyRecord, desk: Others, haircut: float
) -> Hedge | None:
    """The hedge with what decay is measured against; None where nothing is left to judge."""
    if hedge is None:
        return None
    rows, factors = hedge.hedged(reference, desk.records)
    known: Flags = np.isfinite(rows)
    left, mean = rows[known], float(rows[known].mean())
    decay = decay_reference(left, haircut=haircut)
    if decay is None or left.var() <= (1.0 - _MAXIMUM_R2) * reference.returns[known].var():
        return None
    edge = (mean - haircut * max(mean, 0.0)) / float(left.std())
    return replace(hedge, rows=len(left), factors=factors, decay=decay, edge=edge)


def _with_components(
    hedge: Hedge,
    strategy: str,
    dates: Dates,
    returns: Floats,
    benchmark: Floats,
    desk: Others,
) -> Hedge | None:
    """The hedge with components of the others; None where they do not add to the benchmark."""
    half = len(dates) // 2
    # What is chosen and fitted on the first half must help in the second one.
    early = desk.closest(strategy, dates[:half], returns[:half])
    late = desk.closest(strategy, dates, returns)
    (first, known), (rows, known_late) = (_complete(desk, names, dates) for names in (early, late))
    if not early or not late or min(known.mean(), known_late.mean()) < _COVERED:
        return None
    fitted = int(known[:half].sum())
    components = first @ _loadings(first[:fitted])
    shares = [
        _out_of_sample(returns[known], np.hstack([benchmark[known], components[:, :count]]), fitted)
        for count in range(components.shape[1] + 1)
    ]
    count = int(np.argmax(shares))
    if shares[count] < shares[0] + _ADDED:
        return None
    returns, benchmark = returns[known_late], benchmark[known_late]
    loadings = _loadings(rows)[:, :count]
    slopes = _slopes(returns, np.hstack([benchmark, rows @ loadings]))
    weights = (loadings @ slopes[1:]).tolist()
    return replace(
        hedge,
        r2=shares[count],
        r2_benchmark=shares[0],
        beta=float(slopes[0]),
        mean=float(benchmark.mean()),
        components=count,
        loadings=dict(
            zip(late, zip(weights, rows.mean(axis=0).tolist(), strict=True), strict=True)
        ),
    )


def _complete(desk: Others, names: Sequence[str], dates: Dates) -> tuple[Floats, Flags]:
    """The rows of strategies on the dates on which all of them have one, and which these are."""
    rows = rows_on(desk.records, names, dates)
    known = np.asarray(np.isfinite(rows).all(axis=1))
    return rows[known], known


def _loadings(rows: Floats) -> Floats:
    """The largest principal components (strategies, components) of standardised rows."""
    deviations = rows.std(axis=0)
    per_deviation = np.where(deviations > 1e-12, 1.0 / np.maximum(deviations, 1e-12), 0.0)
    scaled = (rows - rows.mean(axis=0)) * per_deviation
    _, vectors = np.linalg.eigh(scaled.T @ scaled)
    found: Floats = vectors[:, ::-1][:, :_COMPONENTS] * per_deviation[:, np.newaxis]
    return found


def _slopes(returns: Floats, factors: Floats) -> Floats:
    """The slopes (k) of returns (n) on factors (n, k) by least squares, with a constant."""
    away = factors - factors.mean(axis=0)
    slopes: Floats = np.linalg.lstsq(away, returns - returns.mean(), rcond=None)[0]
    return slopes


def _out_of_sample(returns: Floats, factors: Floats, fitted: int) -> float:
    """The share of the variance after the first `fitted` rows that slopes fitted on them take."""
    slopes, later = _slopes(returns[:fitted], factors[:fitted]), returns[fitted:]
    variance = float(later.var())
    left = float((later - factors[fitted:] @ slopes).var())
    return max(-1.0, 1.0 - left / variance) if variance > 0.0 else 0.0
