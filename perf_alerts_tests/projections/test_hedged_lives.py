"""Hedged lives are the same lives: the same draws take rows of the same days."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.projections.calibration import Calibration, calibrate
from perf_alerts_dagster.projections.lives import (
    NO_CHANGE,
    Change,
    Life,
    draw_lives,
    hedged_reference,
    life_of,
    returns_of,
)
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.projections.projection import reference_record
from perf_alerts_dagster.projections.stored import (
    calibration_arrays,
    calibration_facts,
    stored_calibration,
)
from perf_alerts_dagster.projections.walk import Walk, badness_of, days_of
from perf_alerts_dagster.projections.watchers import STATISTICS, UNHEDGED, Known
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.ewma_volatility import Floats32
from perf_alerts_dagster.statistics.hedge import Others
from perf_alerts_tests.builders import a_record, noise, trades
from perf_alerts_tests.projections.honest import (
    DOCUMENTED,
    WEIGHTS,
    everything_known,
)
from perf_alerts_tests.projections.test_compiled import by_numpy

ROWS = 900
FACTOR = noise(ROWS, seed=50, mean=0.0002, sd=0.008)
RETURNS = FACTOR + noise(ROWS, seed=51, mean=0.0006, sd=0.006)
RULE = "hedged_decay_cusum"


def record(benchmark: Floats | None = FACTOR) -> StrategyRecord:
    return a_record([], backtest=RETURNS, benchmark=benchmark)


def lived(benchmark: Floats | None = FACTOR, returns: Floats = RETURNS) -> tuple[Life, Known]:
    (known,) = everything_known([returns])
    given = a_record([], backtest=returns, benchmark=benchmark)
    hedge, hedged = hedged_reference(given, partial(Others, {}), 0.0)
    life = life_of(returns, known.residuals, known.decay, hedged=hedged)
    return life, replace(known, hedge=hedge)


def made(life: Life, change: Change = NO_CHANGE, *, lives: int = 160) -> Floats32:
    draws = draw_lives(1, lives, 500)
    returns = np.empty((500, lives), dtype=np.float32)
    returns_of(life, draws, change, returns)
    return returns


def test_hedged_rows_are_those_of_the_days_that_the_raw_ones_are_of() -> None:
    life, known = lived()
    assert life.hedged is not None
    assert known.hedge is not None
    rows, _ = known.hedge.hedged(record(), {})
    assert life.hedged.rows == pytest.approx(rows - rows.mean(), abs=1e-8)
    # With numbers in their places: each draws the same ones.
    numbers: Any = {"rows": np.arange(ROWS, dtype=np.float32), "parts": np.zeros(ROWS, np.float32)}
    raw, beside = (made(replace(one, **numbers, scale_error=0.0)) for one in (life, life.hedged))
    assert np.array_equal(raw, beside)
    assert len(np.unique(raw)) > 0.9 * ROWS


def test_the_errors_of_a_life_are_those_of_its_hedged_one_in_its_own_size() -> None:
    life, known = lived()
    assert life.hedged is not None
    assert known.hedged is not None
    assert life.hedged.mean == pytest.approx(RETURNS.mean(), abs=1e-12)
    assert life.hedged.mean_error == known.hedged.error
    assert life.hedged.mean_error < life.mean_error
    wide = replace(life, rows=0.0 * life.rows)
    beside = replace(life.hedged, rows=0.0 * life.rows)
    one, other = made(wide)[0] - life.mean, made(beside)[0] - life.hedged.mean
    assert np.corrcoef(one, other)[0, 1] > 0.999


def test_a_fall_of_the_mean_is_the_same_in_both() -> None:
    life, _ = lived()
    assert life.hedged is not None
    change = Change(day=100, fall=0.001)
    for one in (life, life.hedged):
        lost = made(one) - made(one, change)
        assert np.abs(lost[:100]).max() == 0.0
        # Every row moves.
        assert lost[100:] == pytest.approx(np.full((400, 160), 0.001), abs=1e-7)


def test_a_row_without_a_benchmark_is_drawn_as_a_known_one_of_its_volatility() -> None:
    holes = FACTOR.copy()
    holes[: ROWS // 2] = np.nan
    # Three times as wild where it is not known, and for a year after.
    wild = np.where(np.arange(ROWS) < 600, 3.0, 1.0)
    life, known = lived(holes * wild, RETURNS * wild)
    assert life.hedged is not None
    assert known.hedge is not None
    rows, _ = known.hedge.hedged(a_record([], backtest=RETURNS * wild, benchmark=holes * wild), {})
    assert known.hedge.rows == ROWS // 2
    assert life.hedged.rows.mean() == pytest.approx(0.0, abs=1e-8)
    kept = np.isfinite(rows)
    drawn = life.hedged.rows[kept] + (rows[kept] - life.hedged.rows[kept]).mean()
    assert drawn == pytest.approx(rows[kept], abs=1e-7)
    early = life.hedged.rows[100:400].std()
    assert early == pytest.approx(rows[450:600].std(), rel=0.25)
    assert early > 2.0 * rows[650:].std()


def calibration_of(life: Life, known: Known, **changes: Any) -> Calibration:
    (found,) = calibrate(
        [life], [known], draw_lives(1, 500, days_of()), weights=[WEIGHTS],
        documented=[DOCUMENTED], **changes,
    )  # fmt: skip
    return found


@cache
def both() -> tuple[Calibration, Calibration]:
    """Of the same strategy without a benchmark, and with one."""
    return calibration_of(*lived(None)), calibration_of(*lived())


def test_a_hedge_changes_no_number_of_the_other_rules() -> None:
    plain, hedged = both()
    assert hedged.worst.keys() - plain.worst.keys() == {f"{RULE}_{year}" for year in range(1, 5)}
    for name, values in plain.worst.items():
        assert np.array_equal(values, hedged.worst[name]), name
    for rule, values in plain.power.items():
        assert np.array_equal(values, hedged.power[rule]), rule
    assert plain.hedge is None


@pytest.mark.parametrize("weight", [0.0, 0.05, 0.5])
def test_without_a_hedge_its_weight_is_nothing(weight: float) -> None:
    life, known = lived(None)
    weights = {**WEIGHTS, RULE: (weight, weight)}
    (found,) = calibrate(
        [life], [known], draw_lives(1, 500, days_of()), weights=[weights],
        documented=[DOCUMENTED], power=False,
    )  # fmt: skip
    for severity, values in both()[0].factors.items():
        assert np.array_equal(values, found.factors[severity])


def test_the_union_counts_what_it_has_in_common_with_decay() -> None:
    life, known = lived()
    walk = Walk(draw_lives(1, 2_000, days_of([RULE])))
    worst = walk.yearly_worst(life, known, rules=(RULE, "decay_cusum"))
    raw, beside = (worst[rule][0] for rule in ("decay_cusum", RULE))
    common = float(np.mean((raw > np.quantile(raw, 0.9)) & (beside > np.quantile(beside, 0.9))))
    # Independent rules have 1 % in common.
    assert 0.03 < common < 0.095
    plain, hedged = both()
    union = np.interp(0.08, plain.tails, plain.factors["warning"])
    assert np.interp(0.08, hedged.tails, hedged.factors["warning"]) < union


def test_it_sees_more_than_decay_alone_and_its_limit_is_its_own() -> None:
    _, hedged = both()
    level = 0.05
    raw, beside = (hedged.worth(rule, level, level) for rule in ("decay_cusum", RULE))
    assert raw.power_252 is not None
    assert beside.power_252 is not None
    assert raw.share_of_limit is not None
    assert beside.share_of_limit is not None
    assert beside.power_252 > raw.power_252 + 0.1
    assert 0.6 < beside.share_of_limit < 1.1
    assert beside.minimal_delay_sessions < 0.7 * raw.minimal_delay_sessions  # type: ignore[operator]
    for lost in (2, 3):
        assert hedged.seen(lost, "warning", 1.0) > both()[0].seen(lost, "warning", 1.0)


def test_a_strategy_that_earns_nothing_has_no_power_to_lose_it() -> None:
    life, known = lived(FACTOR, RETURNS - 0.003)
    assert RULE not in calibration_of(life, known).power


def test_the_compiled_walk_of_hedged_lives_has_the_bits_of_numpy() -> None:
    life, known = lived()
    walk = Walk(draw_lives(1, 250, days_of([RULE])))
    compiled = walk.yearly_worst(life, known, rules=[RULE])
    passages = walk.first_passages(life, known, {RULE: 20.0, "decay_cusum": 20.0})
    with by_numpy():
        plain = walk.yearly_worst(life, known, rules=[RULE])
        again = walk.first_passages(life, known, {RULE: 20.0, "decay_cusum": 20.0})
    assert np.array_equal(compiled[RULE], plain[RULE])
    for rule, values in passages.items():
        assert np.array_equal(values, again[rule])
    assert list(compiled) == [RULE]


def test_given_rows_are_watched_as_hedged_ones_where_they_are_asked_for() -> None:
    _, known = lived()
    rows = np.repeat(noise(300, seed=5)[:, np.newaxis], 16, axis=1)
    assert set(badness_of(rows, known)) == set(UNHEDGED)
    found = badness_of(rows, known, rules=[RULE])[RULE]
    as_decay = badness_of(rows, replace(known, decay=known.hedged), rules=["decay_cusum"])  # type: ignore[arg-type]
    assert np.array_equal(found, as_decay["decay_cusum"])
    assert STATISTICS[RULE].hedged


def stored(calibration: Calibration, **facts: Any) -> StoredProjection:
    return StoredProjection(
        strategy="trend", kind="calibration", issued_on=record().dates[-1].astype(object),
        horizon=252, seed=1, settings_version="test", data_hash="", run_id="run",
        facts={**calibration_facts(calibration), **facts},
        arrays=calibration_arrays(calibration),
    )  # fmt: skip


def test_a_hedge_is_read_as_it_was_stored() -> None:
    plain, hedged = both()
    assert hedged.hedge is not None
    wide = replace(hedged.hedge, components=2, loadings={"a": (0.5, 0.001), "b": (-0.2, 0.0)})
    unused = replace(hedged.hedge, decay=None)
    for hedge in (hedged.hedge, wide, unused):
        found = stored_calibration(stored(replace(hedged, hedge=hedge))).hedge
        assert found is not None
        for name in type(hedge).__dataclass_fields__:
            assert getattr(found, name) == getattr(hedge, name), name
    assert "hedge" not in calibration_facts(plain)
    assert stored_calibration(stored(plain)).hedge is None


@pytest.mark.parametrize("facts", [3, [], {"loadings": None}, {"loadings": [1]}])
def test_a_damaged_hedge_is_refused(facts: Any) -> None:
    with pytest.raises(TypeError, match="hedge of a stored calibration"):
        stored_calibration(stored(both()[0], hedge=facts))
    with pytest.raises(TypeError, match="decay of a stored calibration"):
        stored_calibration(stored(both()[0], decay=3))


def test_the_reference_is_hedged_anew_by_the_rows_before_live_alone() -> None:
    live = noise(200, seed=9)
    whole = a_record(live, backtest=RETURNS, benchmark=np.concatenate([FACTOR, noise(200, seed=8)]))
    one, rows = hedged_reference(reference_record(whole), partial(Others, {}), 0.0)
    other, _ = hedged_reference(record(), partial(Others, {}), 0.0)
    assert one is not None
    assert other is not None
    assert (one.beta, one.factors) == (other.beta, other.factors)
    assert rows is not None
    assert len(rows[0]) == ROWS
    assert hedged_reference(replace(whole, strategy="ALL:USD"), partial(Others, {}), 0.0) == (
        None,
        None,
    )
    assert decay_reference(rows[0]) == rows[1]


def test_a_short_life_without_a_backtest_but_with_trades_has_its_rows_as_reference() -> None:
    short = a_record(RETURNS[:300], benchmark=FACTOR[:300])
    traded = replace(short, trades=trades([1.0, -1.0], short.dates[:2]))
    assert np.array_equal(reference_record(traded).returns, RETURNS[:300])
    assert not len(reference_record(traded.rows(0, 0)))
