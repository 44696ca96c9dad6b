import numpy as np
import pytest

from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.facts import benjamini_hochberg, with_discovery


def one(strategy: str, rule: str, p_year: float | None) -> Evaluation:
    return Evaluation(strategy=strategy, rule=rule, outcome=Outcome.OK, p_year=p_year)


def test_the_example_of_benjamini_and_hochberg_keeps_its_first_four() -> None:
    """Table 1 of J. R. Stat. Soc. B 57 (1995): at a rate of 5 % four of fifteen are kept."""
    shares = np.array(
        [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
            0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
        ]
    )  # fmt: skip
    adjusted = benjamini_hochberg(shares)

    assert (adjusted <= 0.05).sum() == 4
    assert adjusted[3] == pytest.approx(0.0095 * 15 / 4)
    assert adjusted[-1] == 1.0


def test_the_order_of_the_values_does_not_matter() -> None:
    shares = np.random.default_rng(1).random(50)
    order = np.random.default_rng(2).permutation(50)

    assert np.array_equal(benjamini_hochberg(shares)[order], benjamini_hochberg(shares[order]))
    assert (benjamini_hochberg(shares) >= shares).all()


def test_one_value_alone_is_its_own() -> None:
    assert benjamini_hochberg(np.array([0.03])).tolist() == [0.03]
    assert benjamini_hochberg(np.array([])).tolist() == []


def test_each_rule_is_adjusted_across_strategies_and_keeps_its_place() -> None:
    given = [
        one("a", "drawdown", 0.01),
        one("a", "rolling_sharpe", 0.04),
        one("b", "drawdown", 0.5),
        one("b", "rolling_sharpe", None),
    ]
    found = with_discovery(given)

    assert [(each.strategy, each.rule) for each in found] == [
        (each.strategy, each.rule) for each in given
    ]
    values = [each.parts.get("benjamini_hochberg") for each in found]
    assert values == [pytest.approx(0.02), pytest.approx(0.04), pytest.approx(0.5), None]
    assert [each.p_year for each in found] == [each.p_year for each in given]
