"""Keeps the rows that an execution read, for the pages of strategies."""

import logging
from collections.abc import Mapping
from datetime import date, datetime

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.rule import LimitBook
from perf_alerts_dagster.records.reading import Reading
from perf_alerts_dagster.records.series.ports import SeriesStore

_LOG = logging.getLogger(__name__)


def keep_series(
    store: SeriesStore,
    reading: Reading,
    book: LimitBook,
    restated: Mapping[str, Mapping[date, str]],
    now: datetime,
) -> None:
    """Keep the rows, with the columns that a mandate bounds; that it fails is a warning."""
    try:
        store.keep(
            reading,
            at=now,
            bounded=lambda name: book.mandate_for(name).columns,
            restated=restated,
        )
    except StoreUnavailable as error:
        _LOG.warning("the rows are not kept for the pages: %s", error)
