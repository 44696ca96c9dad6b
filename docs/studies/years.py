"""Years of live rows, each with what was known before it; for the studies beside this file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.lives import Life, life_of
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.walk import badness_of
from perf_alerts_dagster.projections.watchers import STATISTICS, WARM_UP, YEAR, Known
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.records.sources import sample
from perf_alerts_dagster.records.sources.files import ParquetTable
from perf_alerts_dagster.statistics.ewma_volatility import WINDOW, filter_returns

PATHS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveYear:
    """Simple returns before the start of live (n) and after it (315), and what rules know then.

    A rule's year has 252 rows; for the rules that look at windows it begins after 63.
    """

    before: Floats
    after: Floats
    known: Known

    @property
    def life(self) -> Life:
        """The healthy lives of the rows before."""
        return life_of(self.before, self.known.residuals)

    def badness(self) -> dict[str, Floats]:
        """Each rule's badness on each day of its year (252)."""
        days = badness_of(np.log1p(self.after)[:, None], self.known)
        return {
            rule: values[STATISTICS[rule].starts :, 0][:YEAR].astype(np.float64)
            for rule, values in days.items()
        }


def sample_records() -> dict[str, tuple[Floats, int]]:
    """The bundled sample's simple returns by strategy, oldest first, and its backtest's rows."""
    table = ParquetTable(Path(sample.__file__).parent / "sample_data" / "daily.parquet")
    frame = table.read().sort("strategy", "date")
    return {
        str(name): (rows["return"].to_numpy(), int((rows["segment"] == "backtest").sum()))
        for (name,), rows in frame.partition_by("strategy", as_dict=True).items()
    }


def live_years(returns: Floats, rows: int | None = None) -> Iterator[LiveYear]:
    """A start of live every 252 rows, by the `rows` before it; by all, at least 756, if None."""
    starts = range(rows or WINDOW, len(returns) - WARM_UP - YEAR + 1, YEAR)
    return _known(
        (returns[start - rows if rows else 0 : start], returns[start : start + WARM_UP + YEAR])
        for start in starts
    )


def at_start_of_live(returns: Floats, backtest: int) -> LiveYear:
    """The record's own start of live, after so many rows."""
    (year,) = _known([(returns[:backtest], returns[backtest : backtest + WARM_UP + YEAR])])
    return year


def _known(pairs: Iterable[tuple[Floats, Floats]]) -> Iterator[LiveYear]:
    varying = [
        (before, after, residuals)
        for before, after in pairs
        if (residuals := filter_returns(before)) is not None
    ]
    bands = fans([residuals for _, _, residuals in varying], draw(1, PATHS, YEAR), YEAR)
    for (before, after, residuals), band in zip(varying, bands, strict=True):
        yield LiveYear(before=before, after=after, known=Known(residuals=residuals, band=band))
