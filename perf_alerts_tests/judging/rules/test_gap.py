"""The gap since launch: one breach of a life, from the first row on that finds it."""

import math
import shlex
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import click
import numpy as np
import pytest

from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import day_words, percent
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.catalogue import BY_ID
from perf_alerts_dagster.judging.rules.decay import LONG, OWN_ROWS, SHORT, SUM, judge_decay
from perf_alerts_dagster.judging.rules.gap import RULE, judge_gap
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.projection import ProjectionsInForce, propose
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.decay import decay_sum, gaps, shortfall
from perf_alerts_tests.builders import a_record, context_of, near, noise
from perf_alerts_tests.incidents.incident_desk import IncidentDesk
from perf_alerts_tests.judging.rules.test_decay import IN_FORCE, LAUNCH
from perf_alerts_tests.judging.rules.test_hedged import outlook_of
from perf_alerts_tests.judging.wording import plain
from perf_alerts_tests.projections.honest import calibrated

BACKTEST = noise(756, seed=5, mean=0.003)
MEAN = float(np.log1p(BACKTEST).mean())
CALIBRATION = calibrated([BACKTEST], paths=5_000)[0]
assert CALIBRATION.decay is not None
REFERENCE = CALIBRATION.decay
LEVELS = Budgets().levels_of("trend", CALIBRATION, 1)
OTHERS = (SHORT, LONG, SUM)


def judge(
    record: StrategyRecord, calibration: Calibration = CALIBRATION, **changes: Any
) -> Evaluation:
    given: dict[str, Any] = {"in_force": IN_FORCE, "calibrations": {"trend": calibration}} | changes
    (found,) = judge_gap(record, context_of(record, **given))
    assert found.rule == RULE.id
    return found


def launched(live: Floats, **changes: Any) -> Evaluation:
    return judge(a_record(live, backtest=BACKTEST), **changes)


def level(mean: float, rows: int, seed: int = 2) -> Floats:
    """Returns whose logs have exactly this mean."""
    logs = noise(rows, seed=seed, mean=0.0, sd=0.01)
    found: Floats = np.expm1(logs - logs.mean() + mean)
    return found


def yearly(mean: float) -> str:
    return percent(float(np.expm1(252 * mean)), signed=True)


def test_before_the_first_look_it_is_ok_and_as_common_as_can_be() -> None:
    live = level(MEAN, 40)
    found = launched(live)

    assert found.message == (
        f"returned {yearly(MEAN)} a year in 40 sessions since launch where "
        f"{yearly(REFERENCE.mean)} was expected; first looked at after 63 sessions"
    )
    assert plain(found) == replace(
        Evaluation(
            strategy="trend",
            rule=RULE.id,
            outcome=Outcome.OK,
            value=near(float(gaps(REFERENCE.scores(np.log1p(live)), REFERENCE)[-1])),
            limit=near(CALIBRATION.badness_at("gap_since_launch_1", LEVELS[RULE.id][0])),
            observations=40,
            required=1,
            p_year=1.0,
            false_alarm_rate=near(LEVELS[RULE.id][0]),
            parts={
                "rows": 40,
                "expected": near(np.expm1(252 * REFERENCE.mean)),
                "compared_with": "backtest",
                "unit": "sigma",
                "haircut": 0.0,
                "levels": {"warning": LEVELS[RULE.id][0], "critical": LEVELS[RULE.id][1]},
            },
        )
    )


@pytest.mark.parametrize(("rows", "looked"), [(63, 63), (125, 63), (300, 252), (800, 756)])
def test_it_has_the_value_and_the_share_of_its_newest_look(rows: int, looked: int) -> None:
    live = level(0.9 * MEAN, rows)
    found = launched(live)
    value = float(gaps(REFERENCE.scores(np.log1p(live)), REFERENCE)[looked - 1])

    assert found.outcome is Outcome.OK
    assert found.value == near(value)
    assert found.p_year == CALIBRATION.p_year(STATISTICS[RULE.id].name_after(looked), value)


def against_backtest(
    live: Floats, rated: Calibration = CALIBRATION
) -> dict[str, tuple[Severity | None, float]]:
    """Each rule of decay's severity and share against the backtest, of whatever age."""
    scores, found = REFERENCE.scores(np.log1p(live)), {}
    for rule, window in zip(OTHERS, (126, 252, None), strict=True):
        newest = scores[-STATISTICS[rule.id].rated_rows(len(live), rated.year) :]
        bad = decay_sum(newest) if window is None else shortfall(newest, window, REFERENCE)
        name = STATISTICS[rule.id].name_after(len(live), rated.year)
        warning, critical = (rated.badness_at(name, level) for level in LEVELS[rule.id])
        severity = Severity.WARNING if bad >= warning else None
        if bad >= critical:
            severity = Severity.CRITICAL
        found[rule.id] = severity, rated.p_year(name, bad)
    return found


def found_by_looks(row: int) -> Floats:
    """So many rows with which only the look after the last finds the gap."""
    low, high = -0.01, 0.01
    for _ in range(60):
        middle = (low + high) / 2.0
        value = gaps(REFERENCE.scores(np.full(row, middle)), REFERENCE)[-1]
        limit = CALIBRATION.badness_at("gap_since_launch_1", 0.95 * LEVELS[RULE.id][0])
        low, high = (middle, high) if value > limit else (low, middle)
    found: Floats = np.expm1(np.full(row, low))
    return found


def test_all_that_is_said_of_a_gap_found_by_its_own_look() -> None:
    few = Budgets(rules={rule.id: {"warning": 0.0, "critical": 0.0} for rule in OTHERS})
    levels = few.levels_of("trend", CALIBRATION, 1)[RULE.id]
    live = found_by_looks(126)
    record = a_record(live, backtest=BACKTEST)
    found = judge(record, budgets=few)
    proposal = propose(record, record.dates[-1].astype(object))
    assert proposal is not None
    haircut, error = proposal.haircut, proposal.standard_error

    assert found.severity is Severity.WARNING
    assert (found.evidence, found.is_notified()) == (Evidence.STRONG, True)
    value = float(gaps(REFERENCE.scores(np.log1p(live)), REFERENCE)[-1])
    assert found.value == near(value)
    assert found.limit == near(CALIBRATION.badness_at("gap_since_launch_1", levels[0]))
    assert found.p_year == CALIBRATION.p_year("gap_since_launch_1", value)
    assert plain(found).parts == {
        "rows": 126,
        "expected": near(np.expm1(252 * REFERENCE.mean)),
        "compared_with": "backtest",
        "unit": "sigma",
        "haircut": 0.0,
        "found_by": RULE.id,
        "found_on": str(record.dates[-1]),
        "proposed_haircut": haircut,
        "proposed_haircut_error": error,
        "levels": {"warning": levels[0], "critical": levels[1]},
    }
    mean = float(np.log1p(live).mean())
    days = [record.dates[place].astype(object) for place in (-1, 756)]
    found_on = day_words(days[0], beside=days[0])
    first = day_words(days[1], beside=days[0], weekday=False)
    assert found.message == (
        f"returned {yearly(mean)} a year in 126 sessions since launch where "
        f"{yearly(REFERENCE.mean)} was expected; found on {found_on}, after 126 sessions; a "
        f"haircut of {100 * haircut:.0f} % (+- {100 * error:.0f} %) would fit: perf-alerts "
        f"strategies rebaseline trend --from {days[0]} --haircut {haircut} "
        '--reason "gap since launch"'
    )
    less = percent(float(np.expm1(252 * REFERENCE.mean) - np.expm1(252 * mean)))
    assert found.parts["headline"] == f"earns {less} a year below its backtest since {first}"


def test_the_command_that_it_names_is_one_of_the_command_line() -> None:
    found = judge(
        replace(a_record(level(0.2 * MEAN, 260), backtest=BACKTEST), strategy="desk b; rm"),
        in_force={"desk b; rm": IN_FORCE["trend"]},
        calibrations={"desk b; rm": CALIBRATION},
    )
    command = shlex.split(found.message.split(": ", 1)[1])

    assert command[:4] == ["perf-alerts", "strategies", "rebaseline", "desk b; rm"]
    group = cli.get_command(click.Context(cli), "strategies")
    assert isinstance(group, click.Group)
    given = group.commands["rebaseline"].make_context("rebaseline", command[3:]).params
    newest = a_record(level(0.2 * MEAN, 260), backtest=BACKTEST).dates[-1].astype(object)
    assert given["since"] == newest
    assert given["haircut"] == found.parts["proposed_haircut"]
    assert given["reason"] == "gap since launch"


def test_no_haircut_fits_a_strategy_that_loses_money() -> None:
    found = launched(level(-0.003, 130))

    assert found.severity is Severity.CRITICAL
    assert (found.parts["proposed_haircut"], found.parts["proposed_haircut_error"]) == (None, None)
    assert found.message.endswith("; it loses money, which no haircut explains")


@pytest.mark.parametrize("rows", [100, 600])
def test_it_is_found_with_the_first_decay_against_the_backtest_and_stays_as_it_was(
    rows: int,
) -> None:
    """A fall in whatever year by any of the rules, and by none of them twice."""
    live = np.concatenate([level(MEAN, rows), level(-0.001, 240, seed=3), level(0.8 * MEAN, 200)])
    found = launched(live[: rows + 240])
    day = np.datetime64(str(found.parts["found_on"]))
    record = a_record(live, backtest=BACKTEST)
    row = int(np.flatnonzero(record.dates[756:] == day)[0])
    assert row >= rows
    by = str(found.parts["found_by"])
    severity, p_year = against_backtest(live[: row + 1])[by]

    assert (found.severity, found.p_year) == (severity, near(p_year))
    assert found.parts["levels"] == dict(zip(("warning", "critical"), LEVELS[by], strict=True))
    assert (found.value or 0.0) >= (found.limit or math.inf)
    assert found.parts["unit"] == BY_ID[by].unit.value
    before = launched(live[:row])
    # What rose was a warning before.
    assert before.severity in ((None, Severity.WARNING) if row < OWN_ROWS else (None,))
    assert before.parts.get("found_on") != str(day)
    for later in (row + 1, row + 50, len(live)):
        one = launched(live[:later])
        same = ("value", "severity", "p_year", "limit", "evidence")
        assert [getattr(one, name) for name in same] == [getattr(found, name) for name in same]
        assert one.parts["found_on"] == str(day)
        assert one.is_notified()


@pytest.mark.parametrize("year", [252, 52, 365])
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))]
)
def test_the_first_row_is_that_of_the_first_breach_against_the_backtest(
    year: int, seed: int
) -> None:
    """Recomputed from the rows, it is what each session found, of long lives too."""
    rated = replace(CALIBRATION, year=year)
    rng = np.random.default_rng(seed)
    live = rng.normal(MEAN * rng.choice([0.6, 0.8, 0.9]), 0.01, 1_400)
    record = a_record(live, backtest=BACKTEST)
    first = None
    for rows in range(1, len(live) + 1, 1 if (seed, year) == (0, 252) else 11):
        cut = record.rows(0, 756 + rows)
        context = context_of(cut, in_force=IN_FORCE, calibrations={"trend": rated})
        decay = {one.rule: one for one in judge_decay(cut, context)}
        compared = {
            rule.id for rule in OTHERS if decay[rule.id].parts["compared_with"] == "backtest"
        }
        assert compared == ({SUM.id} if rows > OWN_ROWS else {rule.id for rule in OTHERS})
        gap, against = judge(cut, rated), against_backtest(live[:rows], rated)
        for rule in compared:
            assert (decay[rule].severity, decay[rule].p_year) == (
                against[rule][0],
                near(against[rule][1]),
            )
        if first is None and any(severity for severity, _ in against.values()):
            first = rows
            assert gap.severity is not None
        if first is None and gap.severity is not None:
            # By its own look, or on a day that is passed over here.
            first = rows
        assert (gap.severity is not None) == (first is not None), rows
        if first is not None and rows > first + 30:
            break


def test_a_warning_rises_once_to_critical_by_what_the_first_year_finds_and_never_later() -> None:
    """Whatever rule finds it: severity, share, rule and day are then those of the later row."""
    slow = np.concatenate([level(0.7 * MEAN, 130), level(-0.0005, 300, seed=3)])
    risen, severities = [], []
    for rows in range(1, len(slow) + 1):
        found = launched(slow[:rows])
        severities.append(found.severity)
        said = (found.severity, found.value, found.p_year, found.parts.get("found_on"))
        if found.severity is not None and said not in risen:
            risen.append(said)
            by = against_backtest(slow[:rows]).get(str(found.parts["found_by"]))
            assert by is None or by[0] is found.severity
            assert (
                found.parts["found_on"] == str(a_record(slow[:rows], backtest=BACKTEST).dates[-1])
                or by is None
            )
    assert [each[0] for each in risen] == [Severity.WARNING, Severity.CRITICAL]
    assert severities.index(Severity.CRITICAL) < OWN_ROWS

    late = np.concatenate([level(MEAN, 232), level(-0.002, 16, seed=4), level(-0.004, 150)])
    first = next(rows for rows in range(232, 300) if launched(late[:rows]).severity is not None)
    if first <= OWN_ROWS:
        assert launched(late[:OWN_ROWS]).severity is Severity.WARNING
    worst = against_backtest(late)
    assert Severity.CRITICAL in {severity for severity, _ in worst.values()}
    assert launched(late).severity is Severity.WARNING


@pytest.mark.parametrize("acknowledged", [False, True])
def test_a_rise_is_one_incident_and_at_most_one_further_message(acknowledged: bool) -> None:
    """Acknowledged or not, and whatever gets worse later."""
    live = np.concatenate([level(0.7 * MEAN, 130), level(-0.0005, 200, seed=3), level(-0.005, 60)])
    desk, told = IncidentDesk(), []
    for rows in range(100, len(live) + 1):
        desk.judge_next_day(launched(live[:rows]))
        told += desk.deliver()
        if acknowledged and desk.all() and desk.only().status is Status.OPEN:
            desk.acknowledge()

    assert told == [
        "mail: opened warning trend/gap_since_launch",
        "mail: raised critical trend/gap_since_launch",
    ]
    assert desk.only().severity is Severity.CRITICAL


def test_a_strategy_without_a_backtest_does_not_pay_for_the_gap() -> None:
    free = Budgets(rules={RULE.id: {"warning": 0.0, "critical": 0.0}})
    whole = noise(1_000, seed=8, mean=0.0005)
    alone, launched_one = a_record(whole), a_record(whole[800:], backtest=whole[:800])
    for record, pays in ((alone, False), (launched_one, True)):
        each = [outlook_of(record, budgets=budgets) for budgets in (Budgets(), free)]
        with_it, without = (one.calibrations["trend"].factors["warning"] for one in each)
        assert np.array_equal(with_it, without) == (not pays)


def test_it_ends_at_a_yearly_look_that_finds_the_mean_back_and_is_not_found_again() -> None:
    live = np.concatenate([level(0.0, 200), level(0.006, 304, seed=3), level(-0.004, 300, seed=4)])
    before, ended = launched(live[:503]), launched(live[:504])

    assert before.severity is not None
    assert (ended.outcome, ended.severity) == (Outcome.OK, None)
    assert ended.p_year is not None
    assert ended.p_year > 0.2
    assert ended.parts["found_on"] == before.parts["found_on"]
    day = date.fromisoformat(str(before.parts["found_on"]))
    newest = a_record(live[:504], backtest=BACKTEST).dates[-1].astype(object)
    found_on = day_words(day, beside=newest)
    assert ended.message.endswith(f"; the gap found on {found_on} was closed after 504 sessions")
    assert launched(live).outcome is Outcome.OK


def test_a_baseline_begins_another_life() -> None:
    live = np.concatenate([level(-0.003, 200), level(0.5 * MEAN, 50, seed=3)])
    record = a_record(live, backtest=BACKTEST)
    since = record.dates[956].astype(object)
    based = replace(LAUNCH, baseline_from=since, baseline_by="ann", haircut=0.6)
    found = judge(record, in_force={"trend": ProjectionsInForce(launch=based)})

    assert judge(record).severity is Severity.CRITICAL
    assert (found.outcome, found.observations, found.p_year) == (Outcome.OK, 50, 1.0)
    said = day_words(since, beside=record.dates[-1].astype(object))
    assert f"since the baseline where {yearly(REFERENCE.mean)} was expected, haircut 60 % since " \
        f"{said} by ann" in found.message  # fmt: skip


def test_without_a_backtest_it_has_no_outcome() -> None:
    record = a_record(np.concatenate([BACKTEST, np.full(100, -0.01)]))
    context = context_of(record, in_force=IN_FORCE, calibrations={"trend": CALIBRATION})

    assert list(judge_gap(record, context)) == []


def test_without_a_projection_a_calibration_or_a_live_row_nothing_is_said() -> None:
    record, none = a_record([0.01], backtest=BACKTEST), a_record([], backtest=BACKTEST)
    for found in (judge(record, calibrations={}), judge(none), judge(record, in_force={})):
        assert found.outcome is Outcome.INSUFFICIENT_DATA


def test_without_a_level_nothing_is_found() -> None:
    nothing = Budgets(
        rules={rule.id: {"warning": 0.0, "critical": 0.0} for rule in (*OTHERS, RULE)}
    )

    assert launched(np.full(200, -0.005), budgets=nothing).outcome is Outcome.OK


def test_a_day_of_grace_after_a_baseline_has_no_row_yet() -> None:
    record = a_record(level(0.0006, 50), backtest=BACKTEST)
    later: date = record.dates[-1].astype(object) + timedelta(days=1)
    based = ProjectionsInForce(launch=replace(LAUNCH, baseline_from=later))
    found = judge(record, in_force={"trend": based})

    assert (found.outcome, found.observations) == (Outcome.INSUFFICIENT_DATA, 0)
