"""Decay against a baseline: the rows that count, and the haircut from which it would be silent."""

from functools import cache

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import day_words
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_dagster.judging.rules.decay import judge_decay
from perf_alerts_dagster.judging.rules.life_cusum import judge_cusum
from perf_alerts_dagster.projections.calibration import TAILS, Calibration
from perf_alerts_dagster.projections.projection import Outlook
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_tests.builders import a_record, context_of, noise
from perf_alerts_tests.projections.test_baselines import (
    BACKTEST,
    Issued,
    a_baseline,
    day,
    spread,
    strategy,
)

BACKTEST_ROWS = strategy().returns[:BACKTEST]


@cache
def outlook(*, since: int | None = None, haircut: float = 0.0) -> Outlook:
    """What is in force with a backtest of 400 rows, and a baseline from a row on."""
    issued = Issued(lives=1000)
    given = [] if since is None else [a_baseline(since, haircut)]
    return issued.on(650, *given)


def judge(live: Floats, *, since: int | None = None, haircut: float = 0.0) -> list[Evaluation]:
    record: StrategyRecord = a_record(live, backtest=BACKTEST_ROWS)
    known = outlook(since=since, haircut=haircut)
    context = context_of(record, in_force=known.in_force, calibrations=known.calibrations)
    return list(judge_decay(record, context))


def test_rows_before_a_baseline_are_no_decay_from_it_on() -> None:
    live = np.concatenate([spread(-0.004, 100), spread(0.002, 60)])
    before, after = judge(live), judge(live, since=500)

    assert {one.severity for one in before} != {None}
    assert [one.observations for one in before] == [126, 160, 160]
    assert [(one.severity, one.observations) for one in after] == [(None, 60)] * 3
    assert [one.parts["baseline_from"] for one in after] == [day(500).isoformat()] * 3
    assert [one.parts["baseline_by"] for one in after] == ["ann"] * 3
    said = day_words(day(500), beside=day(559))
    assert all(f"haircut 0 % since {said} by ann" in one.message for one in after)


def test_a_baseline_without_a_row_yet_is_insufficient_data() -> None:
    found = judge(noise(100), since=500)

    assert [(one.observations, one.severity) for one in found] == [(0, None)] * 3


@pytest.mark.parametrize("haircut", [0.0, 0.25])
def test_a_breach_says_from_which_haircut_on_it_would_be_silent(haircut: float) -> None:
    live = spread(-0.001, 200)
    (_, long, _) = judge(live, since=400, haircut=haircut)
    silent = long.parts["silent_haircut"]

    assert long.severity is not None
    assert isinstance(silent, float)
    assert haircut < silent <= 1.0
    assert f"; silent from a haircut of about {100 * silent:.0f} % on" in long.message
    (_, then, _), (_, below, _) = (
        judge(live, since=400, haircut=round(silent + step, 2)) for step in (0.03, -0.03)
    )
    assert then.severity is None
    assert below.severity is not None


def test_a_loss_is_silenced_by_no_haircut() -> None:
    found = judge(spread(-0.006, 200), since=400)[1]

    assert found.severity is Severity.CRITICAL
    assert found.parts["silent_haircut"] is None
    assert "; no haircut would silence it" in found.message


def test_the_haircut_of_a_decay_is_the_one_that_expects_the_level_of_its_rows() -> None:
    """The comparison with the own record is the same for whatever haircut."""
    live = np.concatenate([spread(0.005, 300), spread(0.0003, 126)])
    found, lower = judge(live)[0], judge(live, since=400, haircut=0.5)[0]
    level = float(np.log1p(live[-126:]).mean())
    silent = round(1.0 - level / float(np.log1p(BACKTEST_ROWS).mean()), 2)

    assert found.is_notified()
    assert found.parts["silent_haircut"] == lower.parts["silent_haircut"] == silent
    assert lower.value == pytest.approx(found.value, rel=0.05)
    assert found.message.endswith(
        f"; a haircut of about {100 * silent:.0f} % would expect the level of these sessions"
    )


def test_without_a_breach_nothing_is_to_be_silenced() -> None:
    found = judge(spread(0.002, 200))[1]

    assert found.severity is None
    assert "silent_haircut" not in found.parts
    assert found.parts["haircut"] == 0.0


@pytest.mark.parametrize(("since", "rows"), [(None, 160), (500, 60)])
def test_the_rule_of_the_version_before_counts_from_the_baseline_as_well(
    since: int | None, rows: int
) -> None:
    record = a_record(noise(160), backtest=BACKTEST_ROWS)
    reached = Calibration(worst={"life_cusum_1": np.linspace(40.0, 0.0, len(TAILS))})
    known = outlook(since=since, haircut=0.4)
    context = context_of(record, in_force=known.in_force, life_cusum={"trend": reached})
    (found,) = judge_cusum(record, context)

    assert found.observations == rows
    assert found.parts["haircut"] == (0.0 if since is None else 0.4)
    assert ("baseline_from" in found.parts) == (since is not None)
