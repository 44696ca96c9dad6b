"""A hedge is used where it holds out of sample, and components where they add to it."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.hedge import Hedge, Others, against_own, hedge_of, rows_on
from perf_alerts_tests.builders import a_record, noise

ROWS = 1_000
FACTOR = noise(ROWS, seed=50, mean=0.0004)
OWN = noise(ROWS, seed=51, mean=0.0008, sd=0.008)


def backtest(
    returns: Floats, benchmark: Floats | None = FACTOR, strategy: str = "trend", **changes: Any
) -> StrategyRecord:
    return a_record([], backtest=returns, strategy=strategy, benchmark=benchmark, **changes)


def others(*records: StrategyRecord) -> Callable[[], Others]:
    return lambda: Others({one.strategy: one for one in records})


def hedged(
    returns: Floats, benchmark: Floats | None, *desk: StrategyRecord, haircut: float = 0.0
) -> Hedge | None:
    record = backtest(returns, benchmark)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return hedge_of(record, others(record, *desk), haircut=haircut)


def test_beta_is_of_least_squares_and_the_mean_stays_the_strategys_own() -> None:
    returns = 1.2 * FACTOR + OWN
    found = hedged(returns, FACTOR)
    assert found is not None
    assert found.decay is not None
    slope, _ = np.polyfit(FACTOR, returns, 1)
    assert found.beta == pytest.approx(slope, rel=1e-9)
    half = ROWS // 2
    early, _ = np.polyfit(FACTOR[:half], returns[:half], 1)
    left = (returns - early * FACTOR)[half:].var() / returns[half:].var()
    assert found.r2 == found.r2_benchmark == pytest.approx(1.0 - left, rel=1e-9)
    rows, _ = found.hedged(backtest(returns), {})
    assert rows == pytest.approx(returns - slope * (FACTOR - FACTOR.mean()), abs=1e-12)
    assert rows.mean() == pytest.approx(returns.mean(), abs=1e-15)
    assert found.decay == decay_reference(rows)
    assert found.edge == pytest.approx(returns.mean() / rows.std(), rel=1e-9)
    assert (found.rows, found.components, found.loadings) == (ROWS, 0, {})


def test_a_haircut_is_taken_off_the_hedged_mean_and_its_edge() -> None:
    whole, half = (hedged(FACTOR + OWN, FACTOR, haircut=each) for each in (0.0, 0.5))
    assert whole is not None
    assert half is not None
    assert half.edge == pytest.approx(whole.edge / 2.0)
    assert half.decay is not None
    assert whole.decay is not None
    assert half.decay.mean == pytest.approx(whole.decay.mean - 0.5 * (FACTOR + OWN).mean())


@pytest.mark.parametrize(
    ("returns", "benchmark"),
    [
        (OWN, FACTOR),
        (OWN + FACTOR, np.full(ROWS, 0.001)),
        (OWN + FACTOR, np.zeros(ROWS)),
        # Its beta has another sign in the second half.
        (OWN + np.where(np.arange(ROWS) < ROWS // 2, 1.5, -1.5) * FACTOR, FACTOR),
        # Nothing varies in the second half.
        (np.where(np.arange(ROWS) < ROWS // 2, OWN + 3.0 * FACTOR, 0.001), FACTOR),
        # One absurd value.
        (OWN + FACTOR, np.where(np.arange(ROWS) == 700, 50.0, FACTOR)),
    ],
    ids=["unrelated", "constant", "zero", "sign-flipped", "constant-strategy", "absurd"],
)
def test_a_benchmark_that_does_not_hold_out_of_sample_is_not_hedged(
    returns: Floats, benchmark: Floats
) -> None:
    found = hedged(returns, benchmark)
    assert found is not None
    assert found.decay is None
    assert found.rows == ROWS
    assert -1.0 <= found.r2 < 0.3


def test_where_the_benchmark_is_the_strategy_nothing_is_left_to_judge() -> None:
    returns = FACTOR + OWN
    for benchmark in (returns, 3.0 * returns, returns + noise(ROWS, seed=9, sd=1e-6)):
        found = hedged(returns, benchmark)
        assert found is not None
        assert found.decay is None
        assert found.r2 == pytest.approx(1.0, abs=1e-4)


def test_rows_without_a_benchmark_are_left_out_of_the_fit() -> None:
    holes = FACTOR.copy()
    holes[::7] = np.nan
    holes[3] = np.inf
    returns = 0.7 * FACTOR + OWN
    found = hedged(returns, holes)
    assert found is not None
    kept = np.isfinite(holes)
    assert found.rows == kept.sum()
    assert found.beta == pytest.approx(np.polyfit(FACTOR[kept], returns[kept], 1)[0], rel=1e-9)
    rows, _ = found.hedged(backtest(returns, holes), {})
    assert (np.isnan(rows) == ~kept).all()


def test_without_a_benchmark_there_is_no_hedge_and_with_few_rows_no_beta() -> None:
    assert hedged(OWN, None) is None
    assert hedged(OWN, np.full(ROWS, np.nan)) is None
    few = np.where(np.arange(ROWS) < 100, FACTOR, np.nan)
    found = hedged(OWN + FACTOR, few)
    assert found is not None
    assert (found.rows, found.decay, found.beta) == (100, None, 0.0)


def test_a_benchmark_that_lost_everything_on_a_day_is_a_row_like_others() -> None:
    lost = FACTOR.copy()
    lost[400] = -1.0
    found = hedged(0.9 * lost + OWN, lost)
    assert found is not None
    assert found.decay is not None
    assert found.beta == pytest.approx(0.9, abs=0.02)


def desk(count: int, factor: Floats, *, seed: int = 100, **changes: Any) -> list[StrategyRecord]:
    return [
        backtest(
            factor + noise(ROWS, seed=seed + each, sd=0.006), None, f"other{each:02}", **changes
        )
        for each in range(count)
    ]


SECOND = noise(ROWS, seed=70, sd=0.012)


def test_components_of_the_others_are_added_where_they_add_to_the_benchmark() -> None:
    returns = FACTOR + SECOND + OWN
    alone = hedged(returns, FACTOR)
    wider = hedged(returns, FACTOR, *desk(12, SECOND))
    assert alone is not None
    assert wider is not None
    assert wider.decay is not None
    assert wider.components >= 1
    assert len(wider.loadings) == 12
    assert wider.r2_benchmark == alone.r2
    assert wider.r2 > alone.r2 + 0.2
    rows, _ = wider.hedged(backtest(returns), others(*desk(12, SECOND))().records)
    assert rows.std() < 0.75 * (returns - FACTOR).std()
    assert rows.mean() == pytest.approx(returns.mean(), abs=1e-12)


def test_components_that_add_nothing_are_left_out() -> None:
    returns = FACTOR + OWN
    alone = hedged(returns, FACTOR)
    assert alone is not None
    for more in (desk(12, FACTOR), desk(12, SECOND), desk(1, SECOND)):
        found = hedged(returns, FACTOR, *more)
        assert found is not None
        assert (found.components, found.beta, found.factors) == (0, alone.beta, alone.factors)


def test_components_never_take_the_place_of_a_declared_benchmark() -> None:
    returns = SECOND + OWN
    assert hedged(returns, None, *desk(12, SECOND)) is None
    found = hedged(returns, FACTOR, *desk(12, SECOND))
    assert found is not None
    assert found.decay is None
    assert found.components == 0


def test_a_factor_that_fades_in_the_second_half_is_not_added() -> None:
    fading = np.where(np.arange(ROWS) < ROWS // 2, 1.0, 0.0) * SECOND
    found = hedged(FACTOR + fading + OWN, FACTOR, *desk(12, SECOND))
    assert found is not None
    assert found.components == 0


def test_groups_short_strategies_and_constant_ones_are_no_factors() -> None:
    returns = FACTOR + SECOND + OWN
    group = replace(desk(1, SECOND)[0], strategy="ALL")
    named = replace(desk(1, SECOND)[0], strategy="group:macro")
    short = [replace(one.rows(0, 800)) for one in desk(12, SECOND)]
    constant = backtest(np.full(ROWS, 0.001), None, "flat")
    for more in ([group, named], short, [constant]):
        found = hedged(returns, FACTOR, *more)
        assert found is not None
        assert found.components == 0
    # A row in twenty may be missing; where too many have one missing, none is used.
    days = [np.arange(ROWS) % 20 != each for each in range(12)]
    holed = [
        replace(one, dates=one.dates[kept], returns=one.returns[kept], live=one.live[kept])
        for one, kept in zip(desk(12, SECOND), days, strict=True)
    ]
    assert hedged(returns, FACTOR, *holed).components == 0  # type: ignore[union-attr]
    one = hedged(returns, FACTOR, *holed[:1])
    assert one is not None
    assert one.components == 1
    assert one.rows == ROWS - 50


def test_a_copy_of_the_strategy_is_not_hedged_with() -> None:
    returns = FACTOR + OWN
    copy = backtest(returns, None, "copy")
    found, alone = hedged(returns, FACTOR, copy), hedged(returns, FACTOR)
    assert found is not None
    assert alone is not None
    assert (found.components, found.beta) == (0, alone.beta)
    assert found.decay == alone.decay


def test_at_most_fifty_others_and_two_components_are_used() -> None:
    found = hedged(FACTOR + SECOND + OWN, FACTOR, *desk(60, SECOND))
    assert found is not None
    assert len(found.loadings) == 50
    assert 1 <= found.components <= 2


def test_what_is_found_depends_on_no_order_of_the_desk() -> None:
    returns, more = FACTOR + SECOND + OWN, desk(12, SECOND)
    one, other = hedged(returns, FACTOR, *more), hedged(returns, FACTOR, *more[::-1])
    assert one is not None
    assert other is not None
    assert (one.beta, one.r2, one.loadings, one.factors) == (
        other.beta,
        other.r2,
        other.loadings,
        other.factors,
    )


def test_the_hash_of_the_factors_follows_their_rows_alone() -> None:
    returns, more = FACTOR + SECOND + OWN, desk(12, SECOND)
    found = hedged(returns, FACTOR, *more)
    assert found is not None
    record, rows = backtest(returns), {one.strategy: one for one in more}
    _, before = found.hedged(record, rows)
    assert before == found.factors
    # Another row of the strategy is none of its factors.
    _, same = found.hedged(replace(record, returns=returns + 0.001), rows)
    restated = more[3].returns.copy()
    restated[10] += 0.001
    _, other = found.hedged(record, rows | {"other03": replace(more[3], returns=restated)})
    assert before == same != other


def test_a_strategy_that_is_gone_or_has_no_row_leaves_the_rows_unknown() -> None:
    more = desk(12, SECOND)
    found = hedged(FACTOR + SECOND + OWN, FACTOR, *more)
    assert found is not None
    record, rows = backtest(FACTOR + SECOND + OWN), {one.strategy: one for one in more}
    left, _ = found.hedged(record, rows | {"other03": more[3].rows(0, ROWS - 3)})
    assert np.isnan(left[-3:]).all()
    assert np.isfinite(left[:-3]).all()
    del rows["other03"]
    gone, _ = found.hedged(record, rows)
    assert np.isnan(gone).all()
    none = rows_on({"empty": record.rows(0, 0)}, ["empty"], record.dates)
    assert np.isnan(none).all()


def test_scores_beside_their_own_past_are_the_same_whatever_the_mean() -> None:
    scores = noise(2_000, seed=3, mean=0.0, sd=1.0)
    found = against_own(scores, 252)
    assert len(found) == 2_000 - 252
    assert found == pytest.approx(against_own(scores + 5.0, 252), abs=1e-9)
    assert found.std() == pytest.approx(1.0, abs=0.05)
    assert found[0] == pytest.approx(
        (scores[252] - scores[:252].mean()) / np.sqrt(1.0 + 1.0 / 252.0)
    )
    assert not len(against_own(scores[:252], 252))
    assert not len(against_own(scores[:10], 252))
