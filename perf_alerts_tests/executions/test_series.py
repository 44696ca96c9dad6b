"""What executions keep for the pages of strategies."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.executions.execute import Executor
from perf_alerts_dagster.records.model import StrategyRecord, TrackRecords
from perf_alerts_dagster.records.series.sql import SqlSeries
from perf_alerts_tests.executions.trading_desk import Desk, a_strategy, after_close, day


def records(*strategies: StrategyRecord) -> TrackRecords:
    return TrackRecords(source="test", strategies={one.strategy: one for one in strategies})


@pytest.fixture
def kept(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> SqlSeries:
    """The series of a desk's executions, which are over fakes."""
    series = SqlSeries(sqlite_engine)
    real: Any = Executor.execute

    def execute(self: Executor, *given: Any, **named: Any) -> Any:
        return real(replace(self, series=series), *given, **named)

    monkeypatch.setattr(Executor, "execute", execute)
    return series


def test_an_execution_keeps_the_rows_that_it_read(kept: SqlSeries) -> None:
    desk = Desk()
    desk.run(records(a_strategy(rows=400)), after_close(399))
    desk.run(records(a_strategy(rows=401)), after_close(400))
    found = kept.series(["trend"])["trend"]

    assert len(found.record) == 401
    assert (found.desk.as_of, found.desk.last_final) == (day(400), day(400))
    assert found.read_at == after_close(400)
    assert found.restated == ()


def test_restated_days_are_kept_with_when_they_were_seen(kept: SqlSeries) -> None:
    desk, record = Desk(), a_strategy(rows=400)
    desk.run(records(record), after_close(399))
    returns = np.where(np.arange(400) == 395, 0.07, record.returns)
    desk.run(records(replace(record, returns=returns)), after_close(399), run_id="again")
    (found,) = kept.series(["trend"])["trend"].restated

    assert (found.seen_at, found.days) == (after_close(399), {day(395): "changed"})


def test_a_date_that_is_only_recorded_keeps_nothing(kept: SqlSeries) -> None:
    desk = Desk()
    desk.run(records(a_strategy(rows=400)), after_close(399))
    desk.run(records(a_strategy(rows=400)), after_close(399), as_of=day(390), run_id="backfill")
    read = kept.desk()

    assert read is not None
    assert read.as_of == day(399)


def test_rows_that_cannot_be_kept_are_a_warning(
    kept: SqlSeries, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def keep(self: SqlSeries, *given: object, **named: Mapping[str, Mapping[date, str]]) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(SqlSeries, "keep", keep)
    found = Desk().run(records(a_strategy(rows=400)), after_close(399))

    assert found.judgements
    assert "the rows are not kept for the pages: disk full" in caplog.text
