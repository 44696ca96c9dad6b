import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.records.model import Floats
from perf_alerts_dagster.statistics.scores.cscv import cscv, deflated_best_trial


def worked_example() -> Floats:
    t, k = np.arange(96)[:, None], np.arange(10)[None]
    wave = 0.01 * np.sin(2 * np.pi * t * (k + 1) / 96 + k)
    return np.asarray(wave + 0.002 * ((t * (k + 3) % 7) - 3) / 3 + 0.0003 * k)


def noise(seed: int, rows: int = 320, trials: int = 12) -> Floats:
    return 0.01 * np.random.default_rng(seed).standard_normal((rows, trials))


def test_the_worked_example_of_ten_trials_is_reproduced() -> None:
    found = cscv(worked_example(), blocks=8)

    # Values: purgedcv's probability_of_backtest_overfitting and an own loop agree on them.
    assert (found.pbo, found.splits, found.trials, found.rows) == (0.6, 70, 10, 96)
    assert found.mean_logit == pytest.approx(-0.9101317344240817, rel=1e-12)
    assert found.out_of_sample_loss == pytest.approx(0.5857142857142857, rel=1e-12)
    assert found.degradation_slope == pytest.approx(-1.44002703960233, rel=1e-11)
    assert found.degradation_intercept == pytest.approx(0.6470867721571254, rel=1e-11)


def test_the_block_sums_agree_with_a_plain_loop_over_the_splits() -> None:
    trials = noise(1, rows=100, trials=7)
    blocks = np.array_split(trials[:96], 6)
    logits = []
    for chosen in combinations(range(6), 3):
        inside = np.concatenate([blocks[i] for i in chosen])
        outside = np.concatenate([blocks[i] for i in range(6) if i not in chosen])
        best = (inside.mean(axis=0) / inside.std(axis=0, ddof=1)).argmax()
        ratios = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        share = (ratios <= ratios[best]).sum() / 8
        logits.append(math.log(share / (1 - share)))

    found = cscv(trials, blocks=6)

    assert found.rows == 96
    assert found.mean_logit == pytest.approx(np.mean(logits), rel=1e-10)
    assert found.pbo == pytest.approx(np.mean(np.array(logits) <= 0), abs=1e-12)


def test_one_trial_that_is_truly_better_is_not_overfitted() -> None:
    trials = noise(2, rows=1000)
    trials[:, 4] += 0.005

    found = cscv(trials)

    assert (found.pbo, found.out_of_sample_loss, found.splits) == (0.0, 0.0, 12870)
    assert found.mean_logit == pytest.approx(math.log(12))


def test_trials_without_skill_are_overfitted_about_every_second_time() -> None:
    found = [cscv(noise(seed), blocks=8).pbo for seed in range(40)]

    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_the_numbers_have_no_unit_and_do_not_know_the_order_of_trials() -> None:
    trials = noise(3)
    base = cscv(trials, blocks=8)

    assert cscv(trials * 2.0**300, blocks=8) == base
    assert cscv(trials[:, ::-1].copy(), blocks=8).pbo == base.pbo


def test_equal_trials_share_the_middle_rank() -> None:
    found = cscv(np.repeat(noise(4, trials=1), 5, axis=1), blocks=4)

    assert (found.pbo, found.mean_logit) == (1.0, 0.0)


def test_trials_that_never_move_give_numbers_and_no_line() -> None:
    found = cscv(np.zeros((64, 3)), blocks=4)

    assert (found.pbo, found.degradation_slope, found.degradation_intercept) == (1.0, None, None)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from([1e-200, 1e-6, 1.0, 1e200]))
def test_no_number_is_ever_nan_or_infinite(seed: int, flat: float, size: float) -> None:
    rng = np.random.default_rng(seed)
    found = cscv(size * rng.standard_t(2, (80, 6)) * (rng.random((80, 1)) > flat), blocks=8)

    assert np.isfinite([found.pbo, found.mean_logit, found.out_of_sample_loss]).all()
    assert 0.0 <= found.pbo <= 1.0
    assert found.degradation_slope is None or math.isfinite(found.degradation_slope)


@pytest.mark.parametrize(
    ("trials", "blocks", "words"),
    [
        (np.zeros(50), 4, "at least 2 trials"),
        (np.zeros((50, 1)), 4, "at least 2 trials"),
        (np.zeros((50, 2)), 5, "even number"),
        (np.zeros((50, 2)), 22, "even number"),
        (np.zeros((7, 2)), 4, "at least 8"),
        (np.array([[0.0, 0.0]] * 8 + [[0.0, np.nan]]), 4, "row 8, column 1 is nan"),
    ],
)
def test_a_matrix_that_is_none_is_refused_by_name(trials: Floats, blocks: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        cscv(trials, blocks=blocks)


def test_the_best_of_many_trials_without_skill_is_deflated() -> None:
    rng = np.random.default_rng(6)
    lucky = 0.01 * rng.standard_normal((1000, 50))
    skilled = lucky.copy()
    skilled[:, 0] += 0.002

    luck, skill = deflated_best_trial(lucky), deflated_best_trial(skilled)

    assert luck is not None
    assert luck < 0.8
    assert skill is not None
    assert skill > 0.95


def test_one_trial_that_varies_is_too_few_to_deflate() -> None:
    trials = np.zeros((300, 3))
    trials[:, 1] = noise(7, rows=300, trials=1)[:, 0]

    assert deflated_best_trial(trials) is None
