"""The variances of a window: in closed form what the recursion gives row by row."""

from dataclasses import fields

import numpy as np
import pytest

from perf_alerts_dagster.judging.rules.exceedances import (
    exceedances_of,
    exceedances_of_many,
    quantile_of,
)
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.ewma_volatility import (
    FLOOR,
    NEWEST,
    WINDOW,
    filter_returns,
    one_step_variances,
    variances_after,
)


def recursion(first: float, shocks: Floats, floor: float) -> Floats:
    variances = [first]
    for shock in shocks.tolist():
        variances.append(max((1.0 - NEWEST) * variances[-1] + NEWEST * shock * shock, floor))
    return np.array(variances)


def after(first: float, shocks: Floats, floor: float) -> Floats:
    found: Floats = variances_after(np.array([first]), shocks[np.newaxis], np.array([floor]))[0]
    return found


@pytest.mark.parametrize("rows", [1, 2, 60, 252, WINDOW])
@pytest.mark.parametrize("flat", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("scale", [1e-9, 0.01, 300.0])
def test_the_closed_form_is_the_recursion(rows: int, flat: float, scale: float) -> None:
    rng = np.random.default_rng(rows)
    shocks = rng.standard_t(3, rows) * scale * (rng.random(rows) >= flat)
    shocks[: rows // 3] = 0.0 if flat else shocks[: rows // 3]
    floor = FLOOR * max(float(shocks.var()), scale**2 / 10)

    found = after(2.0 * floor, shocks, floor)

    np.testing.assert_allclose(found, recursion(2.0 * floor, shocks, floor), rtol=1e-12, atol=0)
    assert (found >= floor).all()


@pytest.mark.parametrize("rows", [2, 300, WINDOW, 900])
def test_a_filtered_window_is_that_of_the_recursion(rows: int) -> None:
    rng = np.random.default_rng(7)
    returns = rng.standard_t(4, rows) * 0.01 * (rng.random(rows) > 0.2)
    known = filter_returns(returns)
    assert known is not None
    logs = np.log1p(returns[-WINDOW:])
    shocks = logs - logs.mean()
    floor = FLOOR * float(shocks.var())
    variances = recursion(max(float(shocks[:60].var()), floor), shocks, floor)

    assert known.sigma == pytest.approx(logs.std(ddof=1), rel=1e-12)
    assert known.variance == pytest.approx(variances[-1], rel=1e-12)
    assert known.floor == pytest.approx(floor, rel=1e-12)
    raw = shocks / np.sqrt(variances[:-1])
    assert np.corrcoef(known.standardised, raw)[0, 1] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("rows", [1, 60, WINDOW, WINDOW + 1, 7_300])
def test_the_variances_of_a_long_record_are_those_of_the_recursion(rows: int) -> None:
    rng = np.random.default_rng(8)
    shocks = rng.standard_t(4, rows) * 0.01 * (rng.random(rows) > 0.2)
    floor = FLOOR * float(shocks.var())
    expected = recursion(max(float(shocks[:60].var()), floor), shocks, floor)[:-1]

    np.testing.assert_allclose(one_step_variances(shocks), expected, rtol=1e-12)


def test_a_huge_row_is_forgotten_as_in_the_recursion() -> None:
    shocks = np.full(WINDOW, 0.001)
    shocks[5] = 700.0

    np.testing.assert_allclose(after(1e-6, shocks, 1e-9), recursion(1e-6, shocks, 1e-9), rtol=1e-12)


@pytest.mark.parametrize("newest", [1, 30, 250])
def test_the_exceedances_of_many_are_bit_for_bit_those_of_each_alone(newest: int) -> None:
    rng = np.random.default_rng(3)
    many = {
        f"s{number}": rng.standard_t(3, rows) * 0.01 * (rng.random(rows) > number % 3 / 3)
        for number, rows in enumerate([251, 300, 502, 600, 1200, *[1006] * 70])
    }
    many["still"] = np.zeros(900)

    found = exceedances_of_many({name: (each, newest) for name, each in many.items()})

    assert "still" not in found
    for name, returns in many.items():
        alone = exceedances_of(returns, newest)
        assert (alone is None) == (name not in found), name
        if alone is not None:
            for part in fields(alone):
                one, other = getattr(alone, part.name), getattr(found[name], part.name)
                assert np.array_equal(one, other), (name, part.name)


def test_a_quantile_of_sorted_values_is_numpys() -> None:
    for rows in (2, 3, 252, 756):
        values = np.sort(np.random.default_rng(rows).standard_normal(rows))
        for share in (0.0, 0.01, 0.05, 0.5, 0.99):
            assert quantile_of(values, share) == pytest.approx(
                np.quantile(values, share), rel=1e-12, abs=1e-15
            )
