"""The plots that an execution keeps of the incidents that it opens or raises."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.executions import plots as keeping
from perf_alerts_dagster.executions.execute import Execution, Executor
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.plots.of_rules import plot_of
from perf_alerts_dagster.plots.plot import Plot
from perf_alerts_dagster.records.model import TrackRecords
from perf_alerts_tests.executions.trading_desk import (
    Desk,
    a_strategy,
    after_close,
    day,
    record,
)

ROWS = 410
EVENING = BY_NAME["evening_performance_check"]
CRASH = {f"row{ROWS - 1}": -0.25}


class KeptPlots:
    """Plots in memory, each save with its time; refuses where `error` is set."""

    def __init__(self, error: StoreUnavailable | None = None) -> None:
        self.kept: dict[str, Plot] = {}
        self.times: list[datetime] = []
        self.error = error

    def save(self, plots: Mapping[str, Plot], at: datetime) -> None:
        if self.error:
            raise self.error
        self.kept |= plots
        self.times.append(at)

    def plots(self, incident_ids: Collection[str]) -> Mapping[str, Plot]:
        return {each: self.kept[each] for each in incident_ids if each in self.kept}


class PlottingDesk(Desk):
    """A desk whose executions keep plots."""

    def __init__(self, engine: Engine, kept: KeptPlots | None = None) -> None:
        super().__init__()
        self.plots = kept
        self.store, self.incidents = SqlAlertStore(engine), SqlIncidents(engine)

    def run(self, records: TrackRecords, now: datetime, **how: Any) -> Execution:
        real = Executor.execute

        def with_plots(executor: Executor, *args: Any, **more: Any) -> Execution:
            return real(replace(executor, plots=self.plots), *args, **more)

        with patch.object(Executor, "execute", with_plots):
            return super().run(records, now, **how)


def rules(kept: KeptPlots) -> set[str]:
    return {plot.rule for plot in kept.kept.values()}


def test_an_incident_that_opens_has_its_rule_s_plot(sqlite_engine: Engine) -> None:
    kept = KeptPlots()
    now = after_close(ROWS - 1)
    done = PlottingDesk(sqlite_engine, kept).run(record(ROWS, **CRASH), now)
    opened = {each.id: each for each in done.incidents if each.strategy}

    assert opened
    assert kept.kept.keys() == opened.keys()
    assert {key: each.rule for key, each in kept.kept.items()} == {
        key: each.rule for key, each in opened.items()
    }
    assert kept.times == [now]
    assert all(plot.dates and plot.text for plot in kept.kept.values())


def test_an_incident_that_only_goes_on_keeps_the_plot_of_its_opening(sqlite_engine: Engine) -> None:
    kept = KeptPlots()
    desk = PlottingDesk(sqlite_engine, kept)
    desk.run(record(ROWS, **CRASH), after_close(ROWS - 1), alert=EVENING)
    before = dict(kept.kept)
    desk.run(record(ROWS + 1, **CRASH), after_close(ROWS), alert=EVENING)

    assert "drawdown" in rules(kept)
    assert {key: kept.kept[key] for key in before} == before


def test_an_incident_that_is_raised_has_the_plot_of_what_raised_it(sqlite_engine: Engine) -> None:
    kept = KeptPlots()
    desk = PlottingDesk(sqlite_engine, kept)
    desk.run(record(ROWS, **CRASH), after_close(ROWS - 1), alert=EVENING)
    (key,) = [key for key, plot in kept.kept.items() if plot.rule == "drawdown"]
    before = kept.kept[key]
    worse = {**CRASH, f"row{ROWS}": -0.4}
    desk.run(record(ROWS + 1, **worse), after_close(ROWS), alert=EVENING)

    assert kept.kept[key].value != before.value
    assert kept.kept[key].dates[-1] == day(ROWS)


def test_a_session_that_is_caught_up_is_drawn_as_of_that_session(sqlite_engine: Engine) -> None:
    kept = KeptPlots()
    desk = PlottingDesk(sqlite_engine, kept)
    desk.run(record(ROWS - 3), after_close(ROWS - 4))
    missed = {f"row{ROWS - 3}": -0.25}
    done = desk.run(record(ROWS, **missed), after_close(ROWS - 1))

    assert len(done.judgements) == 3
    plots = [plot for plot in kept.kept.values() if plot.rule == "daily_exceedance"]
    assert {plot.dates[-1] for plot in plots} == {day(ROWS - 3)}


def test_what_a_killed_execution_judged_is_drawn_by_the_next_one(sqlite_engine: Engine) -> None:
    kept = KeptPlots()
    desk = PlottingDesk(sqlite_engine, kept)
    with (
        patch(
            "perf_alerts_dagster.executions.execute.Lifecycle.apply_judgements",
            side_effect=KeyboardInterrupt,
        ),
        pytest.raises(KeyboardInterrupt),
    ):
        desk.run(record(ROWS, **CRASH), after_close(ROWS - 1))
    assert kept.kept == {}
    desk.run(record(ROWS + 1, **CRASH), after_close(ROWS), run_id="next")

    plots = [plot for plot in kept.kept.values() if plot.rule == "daily_exceedance"]
    assert {plot.dates[-1] for plot in plots} == {day(ROWS - 1)}


def test_a_fault_in_one_plot_leaves_the_others_and_the_execution(
    sqlite_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    kept, real = KeptPlots(), plot_of

    def faulty(evaluation: Any, context: Any) -> Plot | None:
        if evaluation.rule == "daily_exceedance":
            raise ZeroDivisionError("of nothing")
        return real(evaluation, context)

    with patch.object(keeping, "plot_of", faulty):
        done = PlottingDesk(sqlite_engine, kept).run(record(ROWS, **CRASH), after_close(ROWS - 1))

    assert done.newest is not None
    assert "daily_exceedance" not in rules(kept)
    assert rules(kept)
    assert "no plot of trend, daily_exceedance: ZeroDivisionError: of nothing" in caplog.text


def test_a_store_that_keeps_no_plots_is_a_warning(
    sqlite_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    kept = KeptPlots(StoreUnavailable("the disk is full"))
    with caplog.at_level(logging.WARNING):
        done = PlottingDesk(sqlite_engine, kept).run(record(ROWS, **CRASH), after_close(ROWS - 1))

    assert done.incidents
    assert "the plots of daily_pnl_check are not kept: the disk is full" in caplog.text


def test_the_worst_sixty_are_drawn(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAXIMUM_PLOTS", 3)
    kept = KeptPlots()
    strategies = {
        name: replace(
            a_strategy(name, ROWS, seed=seed),
            returns=record(ROWS, **CRASH).strategies["trend"].returns,
        )
        for seed, name in enumerate(("one", "two", "three", "four"))
    }
    done = PlottingDesk(sqlite_engine, kept).run(
        TrackRecords(source="test", strategies=strategies), after_close(ROWS - 1)
    )
    severities = {each.id: each.severity.rank for each in done.incidents}
    left = [rank for key, rank in severities.items() if key not in kept.kept]

    assert len(kept.kept) == 3
    assert min(severities[key] for key in kept.kept) >= max(left)
    assert keeping.MAXIMUM_PLOTS == 3


def test_an_execution_without_a_store_of_plots_draws_none(sqlite_engine: Engine) -> None:
    assert PlottingDesk(sqlite_engine).run(record(ROWS, **CRASH), after_close(ROWS - 1)).incidents
