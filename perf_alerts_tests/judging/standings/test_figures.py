"""The figures of a strategy, against the same computed plainly."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.judging.standings.figures import members_of
from perf_alerts_dagster.judging.standings.model import Figures, Member
from perf_alerts_dagster.projections.bands import PROBABILITIES
from perf_alerts_dagster.projections.projection import InForce, ProjectionsInForce, Subject, project
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_tests.builders import a_record, context_of, noise


def halves(returns: Floats, live: int) -> StrategyRecord:
    """A record whose last `live` rows are live."""
    first = len(returns) - live
    return a_record(returns[first:], backtest=returns[:first])


def member_of(record: StrategyRecord, launch: InForce | None = None, **more: Any) -> Member:
    in_force = {record.strategy: ProjectionsInForce(launch=launch)}
    context = context_of(record, in_force=in_force, records={record.strategy: record}, **more)
    return members_of(context)[record.strategy]


def figures_of(record: StrategyRecord, launch: InForce | None = None, **more: Any) -> Figures:
    found = member_of(record, launch, **more).figures
    assert found is not None
    return found


def launched(record: StrategyRecord, rows: int) -> InForce:
    """The projection of a record whose newest `rows` rows are live."""
    window = record.returns[:-rows]
    (made,) = project(
        [Subject(strategy=record.strategy, window=window)], horizon=252, paths=2000, seed=7
    )
    day: date = record.dates[-rows - 1].astype(object)
    return InForce(
        kind="launch", issued_on=day, fan=made.fan, mean=0.0, log_mean=0.0, log_sigma=0.01
    )


def test_returns_and_the_drawdown_are_of_live_rows() -> None:
    record = halves(noise(400), 100)
    live = record.returns[-100:]
    index = np.cumprod(1.0 + live)
    months = record.dates[-100:].astype("M8[M]")
    found = figures_of(record)

    assert found.live_return == pytest.approx(index[-1] - 1.0)
    assert found.month_return == pytest.approx(np.prod(1.0 + live[months == months[-1]]) - 1.0)
    assert found.last_return == live[-1]
    high = max(1.0, index.max())
    assert found.drawdown == pytest.approx(index[-1] / high - 1.0)
    assert found.under_water == (99 - int(index.argmax()) if high > 1.0 else 100)
    assert (found.live_rows, found.backtest_rows) == (100, 300)
    assert (found.last_row, found.live_since) == (
        record.dates[-1].astype(object),
        record.dates[-100].astype(object),
    )


def test_a_record_without_live_rows_has_no_live_figures() -> None:
    found = figures_of(halves(noise(300), 0))
    assert (found.live_return, found.month_return, found.drawdown) == (None, None, None)
    assert (found.last_return, found.live_since, found.path) == (None, None, ())


def test_the_band_is_the_share_of_the_projections_paths_below() -> None:
    record = halves(noise(800), 60)
    launch = launched(record, 60)
    found = figures_of(record, launch)
    lived = np.log1p(record.returns[-60:]).sum()
    fan = launch.fan

    assert found.band == pytest.approx(
        np.interp(
            lived,
            fan.pointwise[:, 59],
            PROBABILITIES,
        )
    )
    assert found.projected_on == launch.issued_on
    assert len(found.path) == len(found.lower) == len(found.upper) == 60
    assert found.lower[-1] is not None
    assert found.upper[-1] is not None
    assert found.lower[-1] < found.upper[-1]
    assert found.path[-1] == pytest.approx(np.expm1(lived), abs=1e-4)


def test_a_projection_that_nothing_has_lived_in_has_no_band() -> None:
    record = halves(noise(800), 60)
    launch = launched(record, 60)
    young = record.until(launch.issued_on)
    assert figures_of(young, launch).band is None


def test_a_long_life_is_thinned_with_its_ends() -> None:
    found = figures_of(halves(noise(1000), 700))
    assert len(found.path) == 60
    assert found.live_return == pytest.approx(found.path[-1], abs=1e-4)


def test_a_wiped_out_strategy_ends_with_its_last_row() -> None:
    returns = noise(300)
    returns[250] = -1.5
    found = figures_of(halves(returns, 100))
    assert found.live_rows == 51
    assert found.drawdown == pytest.approx(-1.0)


@given(
    st.lists(st.floats(-2.0, 1e6, allow_nan=False), min_size=1, max_size=40),
    st.integers(0, 40),
)
def test_every_figure_is_finite(returns: list[float], live: int) -> None:
    record = halves(np.array(returns), min(live, len(returns)))
    found = figures_of(record)
    numbers = (found.live_return, found.month_return, found.drawdown, *found.path)
    assert all(np.isfinite(each) for each in numbers if each is not None)
