"""The four statistics of live against its model: pairs, scales, sums, and what rounding does."""

import numpy as np
import pytest

from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.shadow.agreement import agreement
from perf_alerts_dagster.statistics.shadow.pairs import (
    REFERENCE,
    STATISTICS,
    Pairs,
    pairs_of,
    scales_of,
    statistics,
)
from perf_alerts_tests.builders import noise
from perf_alerts_tests.shadowed import a_pair, a_shadowed

BACKTEST = noise(300)


def pairs_from(live: Floats, model: Floats, **changes: object) -> Pairs:
    record = a_shadowed(live, model, backtest=BACKTEST, **changes)
    assert record.shadow is not None
    return pairs_of(record, record.shadow)


def test_a_cost_lowers_what_live_should_make() -> None:
    _, model = a_pair(np.random.default_rng(1), 80)
    cost = np.full(80, 0.0005)

    pairs = pairs_from(model - cost, model, costs=cost)

    assert pairs.differences == pytest.approx(np.zeros(80), abs=1e-15)
    assert not pairs.learns
    assert pairs_from(model - cost, model).differences == pytest.approx(-cost)


def test_a_new_version_begins_anew_and_a_row_without_one_has_that_of_the_row_before() -> None:
    live, model = a_pair(np.random.default_rng(2), 100)
    versions = np.array(["a"] * 30 + ["b"] * 10 + ["a"] * 30 + [""] * 30)

    pairs = pairs_from(live, model, versions=versions)

    assert (len(pairs), pairs.version) == (60, "a")
    assert len(pairs_from(live, model, versions=np.array(["a"] * 98 + ["b", "c"]))) == 1
    assert len(pairs_from(live, model, versions=np.array([""] * 50 + ["a"] * 50))) == 50


def test_rows_that_came_late_are_no_evidence_and_rows_of_the_first_reading_are() -> None:
    live, model = a_pair(np.random.default_rng(3), 100)
    record = a_shadowed(live, model, backtest=BACKTEST)
    days = record.dates[record.live]
    seen = np.full(100, "NaT", dtype="datetime64[D]")
    seen[10], seen[11], seen[12] = days[15], days[17], days[12]

    pairs = pairs_from(live, model, seen=seen)

    assert (len(pairs), pairs.late, pairs.undated) == (99, 1, 97)
    assert days[11] not in pairs.dates


def test_pairs_need_a_live_row_and_begin_with_the_models_first_return() -> None:
    live, model = a_pair(np.random.default_rng(4), 100)
    model[:7] = 0.0
    record = a_shadowed(live, model, backtest=BACKTEST)
    days = record.dates[record.live].copy()
    days[0] = record.dates[0]
    days[50] += np.timedelta64(1, "D") * (6 - days[50].astype(object).weekday())

    assert len(pairs_from(live, model)) == 93
    assert len(pairs_from(live, model, dates=days)) == 92
    empty = pairs_from(live, model[:0])
    assert (len(empty), empty.version, empty.late) == (0, "", 0)


def by_hand(differences: Floats, shadow: Floats) -> list[float]:
    """The four statistics after the last row, written out."""
    first = slice(0, REFERENCE)
    s = 1.4826 * np.median(np.abs(differences[first] - np.median(differences[first])))
    u = np.clip(differences / s, -3, 3)
    q = np.clip(shadow / shadow[first].std(), -3, 3)
    found = []
    for values, usual, windows, is_learnt in (
        (-u, 1.2, (21, 42, 63, 126, 252), False),
        (u * q, 1.2, (10, 21, 42, 63, 126), False),
        (u * u - (u * u)[first].mean(), 1.7, (5, 10, 21, 42, 63), True),
    ):
        sd = np.sqrt((values[first].var() + usual) / 2.0)
        sums = [(w, values[len(values) - w :].sum()) for w in windows if w <= len(values)]
        if usual == 1.2 and windows[0] == 10:
            sums = [(w, abs(each)) for w, each in sums]
        found.append(
            max(each / sd / np.sqrt(w * (1 + is_learnt * w / REFERENCE)) for w, each in sums)
        )
    far = int((np.abs(differences[-21:]) > 6 * s).sum())
    live = shadow + differences
    missed = int(((np.abs(live) <= 1.5 * s) & (np.abs(shadow) > 5 * s))[-63:].sum())
    return [*found, max(far, missed + 2)]


@pytest.mark.parametrize("rows", [63, 64, 200, 400])
def test_the_statistics_are_the_formulas_of_the_docs(rows: int) -> None:
    live, model = a_pair(np.random.default_rng(rows), rows, fault="missed", planted=100)
    pairs = pairs_from(live, model)
    scales = pairs.scales
    assert scales.offset == scales.slope == 0.0

    assert pairs.statistics()[:, -1] == pytest.approx(by_hand(live - model, model), rel=1e-5)
    assert pairs.statistics().shape == (len(STATISTICS), rows - 62)


def test_a_mean_or_slope_that_is_surely_there_from_the_first_rows_on_is_learnt() -> None:
    live, model = a_pair(np.random.default_rng(5), 200)
    lower, smaller = live - 0.001, live - 0.3 * model

    learnt = pairs_from(lower, model).scales
    assert learnt.offset == pytest.approx(-0.001, rel=0.3)
    assert pairs_from(lower, model).statistics()[0].max() < 4.5
    stated = pairs_from(lower, model, costs=np.full(200, 1e-9))
    assert stated.scales.offset == 0.0
    assert stated.statistics()[0, 0] > 5.0
    assert pairs_from(smaller, model).scales.slope < -0.5
    assert pairs_from(smaller, model).statistics()[1].max() < 6.0


@pytest.mark.parametrize("rounding", [0.0, 1e-12, 1e-9])
def test_what_rounding_makes_of_equal_rows_is_no_difference(rounding: float) -> None:
    generator = np.random.default_rng(6)
    _, model = a_pair(generator, 600)
    live = model + rounding * generator.normal(size=600)

    found = pairs_from(live, model).statistics()

    assert np.isfinite(found).all()
    assert found[:3].max() < 3.0
    assert found[3].max() == 2.0


def test_scales_of_flat_lives_are_finite() -> None:
    flat = np.zeros((1, 100))
    scales = scales_of(flat, flat, learns=True)

    assert not np.concatenate([scales.noise, scales.deviation, scales.offset, scales.slope]).any()
    assert np.isfinite(statistics(flat, flat, learns=True)).all()


def test_agreement_has_the_zones_of_the_basel_framework() -> None:
    live, model = a_pair(np.random.default_rng(7), 400)
    found = agreement(pairs_from(live, model), periods_per_year=252)

    assert found["rows"] == 400
    assert found["tracking_error"] == pytest.approx(0.001 * np.sqrt(252), rel=0.15)
    assert found["mean_difference"] == pytest.approx((live - model).mean() * 252)
    assert found["beta"] == pytest.approx(np.polyfit(model, live, 1)[0])
    assert found["correlation"] == pytest.approx(np.corrcoef(live, model)[0, 1])
    assert found["spearman"] == pytest.approx(0.99, abs=0.01)
    assert (found["spearman_zone"], found["kolmogorov_smirnov_zone"]) == ("green", "green")


@pytest.mark.parametrize(("swapped", "zone"), [(2, "green"), (5, "amber"), (8, "red")])
def test_the_distance_and_the_ranks_decide_the_zone(swapped: int, zone: str) -> None:
    model = np.linspace(-0.01, 0.01, 50)
    live = model.copy()
    live[:swapped] = 1.0 + model[:swapped]

    found = agreement(pairs_from(live, model), periods_per_year=252)

    assert found["kolmogorov_smirnov"] == pytest.approx(swapped / 50)
    assert found["kolmogorov_smirnov_zone"] == zone
    ranks = [np.argsort(np.argsort(each)).astype(float) for each in (live, model)]
    assert found["spearman"] == pytest.approx(np.corrcoef(ranks[0], ranks[1])[0, 1])


def test_too_few_pairs_or_equal_ones_have_no_figures() -> None:
    few = agreement(pairs_from(np.full(2, 0.01), np.full(2, 0.01)), periods_per_year=252)
    assert few == {**dict.fromkeys(few), "rows": 2}

    equal = agreement(pairs_from(np.full(9, 0.01), np.full(9, 0.01)), periods_per_year=252)
    assert [equal[name] for name in ("correlation", "beta", "spearman", "spearman_zone")] == [
        None
    ] * 4
    assert (equal["kolmogorov_smirnov"], equal["kolmogorov_smirnov_zone"]) == (0.0, "green")
