"""A gap since launch is one message and no decay; the lives of the study against the judge."""

import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.alerts import Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.judge import judge_strategy
from perf_alerts_dagster.judging.rules.decay import OWN_ROWS
from perf_alerts_dagster.projections.projection import InForce, ProjectionsInForce
from perf_alerts_dagster.records.model import Floats
from perf_alerts_tests.builders import a_record, context_of

STUDIES = Path(__file__).parents[2] / "docs" / "studies"


@cache
def study() -> ModuleType:
    """The study, imported as when it is run from its folder."""
    sys.path.insert(0, str(STUDIES))
    try:
        return import_module("gap_and_decay")
    finally:
        sys.path.remove(str(STUDIES))


@cache
def few() -> list[Any]:
    found: list[Any] = study().strategies((756, 1_500), lives=1_000)
    return found


class Judged:
    """One life as the judge sees it."""

    def __init__(self, strategy: Any, logs: Floats) -> None:
        self._before = len(strategy.backtest)
        self._whole = a_record(np.expm1(logs), backtest=strategy.backtest)
        launch = InForce(
            kind="launch", issued_on=self._whole.dates[self._before - 1].astype(object),
            fan=strategy.known.band, mean=0.0, log_mean=0.0, log_sigma=1.0,
        )  # fmt: skip
        self._given: dict[str, Any] = {
            "calibrations": {"trend": strategy.calibration},
            "in_force": {"trend": ProjectionsInForce(launch=launch)},
            "kept": {},
        }

    def on(self, day: int) -> dict[str, Evaluation]:
        """The rules of projections on a day of live, from 0 on."""
        record = self._whole.rows(0, self._before + day + 1)
        context = context_of(record, **self._given)
        found = judge_strategy(record, (Family.PROJECTION,), context)
        return {one.rule: one for one in found}


def assert_same(judged: Judged, found: Any, life: int, days: list[int]) -> None:
    for day in days:
        on = judged.on(day)
        gap = on["gap_since_launch"]
        assert gap.is_notified() == (day >= found.gap[life]), (life, day)
        is_critical = gap.notified_severity is Severity.CRITICAL
        assert is_critical == (day >= found.critical[life]), (life, day)
        for rule, beyond in found.beyond.items():
            assert on[rule].is_notified() == beyond[day, life], (life, day, rule)
            assert (on[rule].parts["compared_with"] == "own record") == (day >= OWN_ROWS)
        assert not on["decay_cusum"].is_notified()


@pytest.mark.parametrize("lost", [0.0, 1.0, 2.0])
def test_what_the_study_finds_of_many_lives_is_what_the_judge_finds(lost: float) -> None:
    """Of a hundred lives on the days around each message, and on a few others."""
    lab, rng = study(), np.random.default_rng(int(lost))
    for place, strategy in enumerate(few()):
        logs = lab.lived(int(10 * lost) + place, 17, lost=lost, start=60 * place)
        found = lab.messages(strategy, logs)
        for life in range(logs.shape[1]):
            first, critical = int(found.gap[life]), int(found.critical[life])
            days = {
                first - 1,
                first,
                first + 1,
                critical - 1,
                critical,
                62,
                251,
                252,
                253,
                lab.DAYS - 1,
            }
            days |= set(rng.integers(0, lab.DAYS, 5).tolist())
            for beyond in found.beyond.values():
                changes = np.flatnonzero(np.diff(beyond[:, life].astype(int)))[:3].tolist()
                days |= {day + step for day in changes for step in (0, 1)}
            assert_same(
                Judged(strategy, logs[:, life]), found, life,
                sorted(day for day in days if 0 <= day < lab.DAYS),
            )  # fmt: skip


@pytest.mark.long
def test_a_life_of_three_years_is_notified_on_the_days_of_the_study() -> None:
    lab = study()
    for place, strategy in enumerate(few()):
        logs = lab.lived(90 + place, 2, lost=2.0, start=500)
        found = lab.messages(strategy, logs)
        for life in range(2):
            assert_same(Judged(strategy, logs[:, life]), found, life, list(range(lab.DAYS)))


def test_the_lives_of_the_study_need_the_levels_of_the_product() -> None:
    for strategy in few():
        levels = Budgets().levels_of("", strategy.calibration, 1)
        assert strategy.levels == levels


def counted(gap: float, every: list[Any], lives: int) -> tuple[Floats, Floats]:
    """Decay messages of each life over three years, and whether it had a gap's."""
    lab = study()
    found = [
        lab.messages(one, lab.lived(place, lives, lost=gap * lab.SHARPE))
        for place, one in enumerate(every)
    ]
    decay = np.concatenate([each.opens.sum(axis=0) for each in found])
    return decay, np.concatenate([each.gap < lab.DAYS for each in found])


def assert_no_more_decay(every: list[Any], lives: int) -> None:
    healthy, few_gaps = counted(0.0, every, lives)
    assert few_gaps.mean() <= 0.16
    for gap in study().GAPS[1:]:
        decay, has_gap = counted(gap, every, lives)
        more = decay - healthy
        error = max(more.std() / np.sqrt(len(more)), 1.0 / len(more))
        assert more.mean() <= 3.0 * error, gap
        assert has_gap.mean() > few_gaps.mean() + 0.1, gap


def test_a_gap_of_any_size_makes_no_more_decay_than_none() -> None:
    assert_no_more_decay(few(), 100)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_two_thousand_lives_with_a_gap_of_any_size_make_no_more_decay_than_healthy_ones() -> None:
    lab = study()
    every = lab.strategies()
    assert len(every) * lab.LIVES == 2_000
    assert_no_more_decay(every, lab.LIVES)


def test_the_study_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    lab = study()
    lab.print_gaps(few(), 20)
    lab.print_power(few(), 20)
    lab.print_alone(few(), 20)
    lines = capsys.readouterr().out.splitlines()

    assert sum(line.startswith("| mean_shortfall_126, own record") for line in lines) == 1
    gaps = [float(line.split("|")[2]) for line in lines if "%" in line.split("|")[1][:6]]
    assert gaps == sorted(gaps)
