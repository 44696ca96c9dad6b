"""Decay: what is rare for the age of the strategy notifies, by the budget and nothing else."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import day_words, percent
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_dagster.judging.rules.decay import LONG, RULES, SHORT, SUM, judge_decay
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.calibration import Calibration
from perf_alerts_dagster.projections.projection import InForce, ProjectionsInForce
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.projections.watchers import STATISTICS
from perf_alerts_dagster.records.model import Floats, StrategyRecord
from perf_alerts_dagster.statistics.change import change_of
from perf_alerts_dagster.statistics.decay import decay_sum, own_shortfall, shortfall
from perf_alerts_tests.builders import a_record, context_of, near, noise
from perf_alerts_tests.judging.wording import plain
from perf_alerts_tests.projections.honest import calibrated, known

BACKTEST = noise(756, mean=0.0006)
CALIBRATION = calibrated([BACKTEST], paths=5_000)[0]
assert CALIBRATION.decay is not None
REFERENCE = CALIBRATION.decay
LEVELS = Budgets().levels_of("trend", CALIBRATION, 1)
ISSUED: date = a_record([], backtest=BACKTEST).dates[-1].astype(object)
RESIDUALS = known(BACKTEST)
LAUNCH = InForce(
    kind="launch",
    issued_on=ISSUED,
    fan=fans([RESIDUALS], draw(1, 2000, 252), 252)[0],
    mean=float(BACKTEST.mean()),
    log_mean=RESIDUALS.mean,
    log_sigma=RESIDUALS.sigma,
)
IN_FORCE = {"trend": ProjectionsInForce(launch=LAUNCH)}


def judge(
    record: StrategyRecord, calibration: Calibration = CALIBRATION, **changes: Any
) -> dict[str, Evaluation]:
    given: dict[str, Any] = {"in_force": IN_FORCE, "calibrations": {"trend": calibration}} | changes
    found = judge_decay(record, context_of(record, **given))
    assert [each.rule for each in found] == [rule.id for rule in RULES]
    return {each.rule: each for each in found}


def lived(rows: Floats) -> dict[str, Evaluation]:
    """Of a strategy without a backtest, whose reference are its first 756 live rows."""
    return judge(a_record(np.concatenate([BACKTEST, rows])))


def launched(rows: Floats, **changes: Any) -> dict[str, Evaluation]:
    """Of a strategy with a backtest."""
    return judge(a_record(rows, backtest=BACKTEST), **changes)


def falling(rows: int, shortfall_of: str, value: float) -> Floats:
    """Equal rows with which the rule ends at about a value."""
    low, high = -0.02, 0.01
    for _ in range(60):
        middle = (low + high) / 2.0
        scores = REFERENCE.scores(np.full(rows, middle))
        reached = (
            decay_sum(scores)
            if shortfall_of == SUM.id
            else shortfall(scores, int(shortfall_of[-3:]), REFERENCE)
        )
        low, high = (middle, high) if reached > value else (low, middle)
    found: Floats = np.expm1(np.full(rows, low))
    return found


@pytest.mark.parametrize("rows", [63, 252, 400])
@pytest.mark.parametrize("rule", [SHORT.id, LONG.id, SUM.id])
@pytest.mark.parametrize(
    ("times", "severity"),
    [
        (1.5, None),
        (0.8, Severity.WARNING),
        (0.5 * LEVELS[LONG.id][1] / LEVELS[LONG.id][0], Severity.CRITICAL),
    ],
    ids=["ok", "warning", "critical"],
)
def test_the_levels_of_healthy_lives_of_that_age_are_the_limits(
    rows: int, rule: str, times: float, severity: Severity | None
) -> None:
    share = times * LEVELS[rule][0]
    name = STATISTICS[rule].name_after(rows)
    found = lived(falling(rows, rule, CALIBRATION.badness_at(name, share)))[rule]

    assert found.severity is severity
    assert found.p_year == pytest.approx(share, rel=0.05, abs=2e-4)
    warning, critical = LEVELS[rule]
    assert found.parts["levels"] == {"warning": warning, "critical": critical}
    if severity is not None:
        assert (found.evidence, found.notified_severity) == (Evidence.STRONG, severity)
    level = critical if severity is Severity.CRITICAL else warning
    assert found.limit == pytest.approx(CALIBRATION.badness_at(name, level))


def test_all_that_is_said_of_a_shortfall() -> None:
    live = np.full(100, -0.005)
    found = lived(live)[SHORT.id]
    scores = REFERENCE.scores(np.log1p(live))
    expected, returned = np.expm1(100 * REFERENCE.mean), np.expm1(np.log1p(live).sum())
    days = a_record(np.concatenate([BACKTEST, live])).dates[756:].astype(str)
    change = change_of(scores, REFERENCE.rows)
    first, until = days[0], days[change.last]
    assert (change.at, change.first) == (0, 0)

    newest = date.fromisoformat(days[-1])
    began, fell = (
        day_words(date.fromisoformat(day), beside=newest, weekday=False) for day in (first, until)
    )
    assert found.message == (
        f"returned {percent(returned, signed=True)} in the last 100 sessions where "
        f"{percent(expected, signed=True)} was expected; it began to fall about {began}, the first "
        f"of these sessions (95 %: to {fell}); no haircut would silence it"
    )
    less = percent(252 * (REFERENCE.mean - float(np.log1p(-0.005))))
    assert found.parts["headline"] == f"earns {less} a year below its own record since {began}"
    assert plain(found) == replace(
        Evaluation(
            strategy="trend",
            rule=SHORT.id,
            outcome=Outcome.BREACH,
            severity=Severity.CRITICAL,
            value=near(shortfall(scores, 126, REFERENCE)),
            limit=near(CALIBRATION.badness_at("mean_shortfall_126_1", LEVELS[SHORT.id][1])),
            observations=100,
            required=1,
            evidence=Evidence.STRONG,
            p_year=found.p_year,
            false_alarm_rate=near(LEVELS[SHORT.id][0]),
            parts={
                "rows": 100,
                "expected": near(expected),
                "compared_with": "own record",
                "haircut": 0.0,
                "change_date": first,
                "change_from": first,
                "change_until": until,
                "change_reaches_start": True,
                "loss_since": near(returned),
                "silent_haircut": None,
                "levels": {"warning": LEVELS[SHORT.id][0], "critical": LEVELS[SHORT.id][1]},
            },
        )
    )
    assert found.p_year == 1 / 5_001


@pytest.mark.parametrize(
    ("rule", "rows", "observed"),
    [(SHORT.id, 300, 126), (LONG.id, 300, 252), (LONG.id, 200, 200), (SUM.id, 300, 300)],
)
def test_each_rule_says_over_how_many_rows_it_is(rule: str, rows: int, observed: int) -> None:
    live = noise(rows, seed=4)
    found = lived(live)[rule]

    assert (found.observations, found.parts["rows"]) == (observed, observed)
    returned = np.expm1(np.log1p(live[-observed:]).sum())
    assert f"{percent(returned, signed=True)} in the last {observed} sessions" in found.message


def test_a_sum_is_over_no_more_years_than_the_lives_that_rate_it() -> None:
    """Else a healthy sum that began ten years ago is held against lives of four."""
    live = noise(10 * 252 + 100, seed=5)
    live[: 6 * 252] = -0.01
    found = lived(live)

    assert found[SUM.id].observations == 3 * 252 + 100
    scores = REFERENCE.scores(np.log1p(live[-(3 * 252 + 100) :]))
    assert found[SUM.id].value == pytest.approx(decay_sum(scores))
    assert found[LONG.id].observations == 252


@pytest.mark.parametrize("year", [12, 52])
def test_of_a_book_of_few_rows_a_year_a_shortfall_is_of_its_last_two_years(year: int) -> None:
    slow = replace(CALIBRATION, year=year)
    live = noise(year * 10 + 5, seed=6)
    found = judge(a_record(np.concatenate([BACKTEST, live])), slow)

    seen = year + 5
    assert found[LONG.id].observations == min(252, seen)
    scores = REFERENCE.scores(np.log1p(live))[-seen:]
    assert found[LONG.id].value == pytest.approx(shortfall(scores, 252, REFERENCE))
    assert found[SUM.id].observations == 3 * year + 5


def test_a_new_projection_does_not_reset_it() -> None:
    record = a_record(np.full(300, -0.001), backtest=BACKTEST)
    later = ProjectionsInForce(launch=replace(LAUNCH, issued_on=date(2026, 12, 1)))

    assert judge(record, in_force={"trend": later}) == judge(record)


def test_without_a_level_nothing_is_a_breach() -> None:
    nothing = Budgets(rules={SHORT.id: {"warning": 0.0, "critical": 0.0}})
    record = a_record(np.full(200, -0.005), backtest=BACKTEST)
    found = judge(record, budgets=nothing)

    assert found[SHORT.id].outcome is Outcome.OK
    assert found[LONG.id].severity is Severity.CRITICAL


@pytest.mark.parametrize("rows", [100, 252])
def test_what_the_sums_find_against_a_backtest_is_shown_only(rows: int) -> None:
    found = launched(np.full(rows, -0.005))

    for each in found.values():
        assert (each.outcome, each.severity) == (Outcome.BREACH, Severity.CRITICAL)
        assert each.evidence is Evidence.STRONG
        assert each.p_year is not None
        assert each.p_year < 0.002
        assert each.notified_severity is Severity.INFO
        assert not each.is_notified(gate=True)
        assert not each.is_notified(gate=False)
        assert each.parts["compared_with"] == "backtest"
        assert each.message.endswith("; notified as the gap since launch")


def test_from_row_253_on_the_sums_compare_with_the_rows_before_their_window() -> None:
    live = np.concatenate([noise(300, seed=11), np.full(50, -0.012)])
    scores = REFERENCE.scores(np.log1p(live))
    for rows, before in ((253, 252), (350, 252), (378, 252), (379, 253)):
        known = np.concatenate([live, live[:29]])[:rows]
        found = launched(known)[SHORT.id]
        value = own_shortfall(REFERENCE.scores(np.log1p(known)), 126, before)

        assert found.value == near(value)
        assert found.observations == rows - before
        assert found.p_year == CALIBRATION.p_year("mean_shortfall_126_1", value)
        assert found.parts["compared_with"] == "own record"
        assert "was expected by its own record" in found.message
    every = launched(live)
    short = every[SHORT.id]
    assert short.value == near(own_shortfall(scores, 126, 252))
    assert short.is_notified()
    assert short.notified_severity is short.severity is Severity.CRITICAL
    # The Shiryaev-Roberts sum goes on comparing with the backtest.
    assert every[SUM.id].value == near(decay_sum(scores))
    assert not every[SUM.id].is_notified()


def test_a_steady_gap_is_no_decay_however_large() -> None:
    """The backtest's rows less half a per cent a day: a gap that no baseline would allow for."""
    live = np.expm1(np.log1p(np.concatenate([BACKTEST[:400], BACKTEST[100:300]])) - 0.005)
    found = launched(live)

    assert found[SUM.id].severity is Severity.CRITICAL
    assert {found[rule].severity for rule in (SHORT.id, LONG.id)} == {None}


def test_a_breach_of_the_own_record_says_when_it_began_and_what_was_lost() -> None:
    live = np.concatenate([noise(320, seed=12, mean=0.001, sd=0.005), np.full(60, -0.006)])
    pnl = np.concatenate([np.zeros(756), live * 1e6])
    record = a_record(live, backtest=BACKTEST, pnl=pnl, currency="USD")
    found = judge(record)[SHORT.id]
    days = record.dates[756:]
    began = np.flatnonzero(days == np.datetime64(str(found.parts["change_date"])))[0]

    assert began == pytest.approx(320, abs=8)
    first, until = (
        np.datetime64(str(found.parts[name])) for name in ("change_from", "change_until")
    )
    assert days[252] <= first <= days[320] <= until
    assert found.parts["change_reaches_start"] is bool(first == days[252])
    returned, lost = np.expm1(np.log1p(live[began:]).sum()), live[began:].sum() * 1e6
    assert found.parts["loss_since"] == near(returned)
    assert found.parts["loss_since_currency"] == near(lost)
    assert f"returned {percent(returned, signed=True)} or USD {lost:,.0f} since" in found.message
    headline = str(found.parts["headline"])
    assert headline.startswith(f"{percent(returned, signed=True)} since ")
    assert "; its own record: +" in headline
    # It lost money in these rows: no haircut expects that.
    assert found.parts["silent_haircut"] is None
    assert found.message.endswith("; no haircut would expect the level of these sessions")
    other = judge(replace(record, currency=None))[SHORT.id]
    assert f" or {lost:,.0f} since" in other.message


def test_an_incident_of_the_version_before_is_judged_against_the_backtest_in_its_life() -> None:
    live = np.concatenate([np.full(300, -0.003), noise(100, seed=3)])
    since = a_record(live, backtest=BACKTEST).dates[900].astype(object)
    goes_on = launched(live, against_backtest={("trend", LONG.id): since})
    scores = REFERENCE.scores(np.log1p(live))

    assert goes_on[LONG.id].value == near(shortfall(scores, 252, REFERENCE))
    assert goes_on[LONG.id].parts["goes_on"] is True
    assert goes_on[LONG.id].is_notified()
    assert goes_on[SHORT.id] == launched(live)[SHORT.id]
    # A baseline of a later day begins another life.
    based = ProjectionsInForce(launch=replace(LAUNCH, baseline_from=since + timedelta(days=1)))
    other = launched(live, in_force={"trend": based}, against_backtest={("trend", LONG.id): since})
    assert "goes_on" not in other[LONG.id].parts


def test_without_a_projection_a_calibration_or_a_live_row_nothing_is_said() -> None:
    record, none = a_record([0.01], backtest=BACKTEST), a_record([], backtest=BACKTEST)
    lacking = "its projection has no calibration yet"
    for text, found in (
        (lacking, judge(record, calibrations={})),
        (lacking, judge(record, replace(CALIBRATION, decay=None))),
        ("no row yet: judged from about 25 Nov on", judge(none)),
    ):
        for each in found.values():
            assert each.outcome is Outcome.INSUFFICIENT_DATA
            assert each.message == text
    for each in judge(a_record(noise(40)), in_force={}).values():
        assert (each.observations, each.required) == (40, 756)


def test_before_a_row_is_final_nothing_is_said() -> None:
    record = a_record([0.01], backtest=BACKTEST)
    found = judge(record, last_final=None)

    assert {each.outcome for each in found.values()} == {Outcome.INSUFFICIENT_DATA}


def test_without_a_backtest_the_reference_is_no_evidence_against_itself() -> None:
    """The 756 rows that made it are neither losses of the strategy's nor of its age."""
    after = np.full(60, -0.0015)
    alone, beside = lived(after), launched(after)

    for rule in RULES:
        one, other = alone[rule.id], beside[rule.id]
        assert (one.value, one.p_year, one.observations) == (other.value, other.p_year, 60)
        assert one.is_notified() is (one.severity is not None)
        assert not other.is_notified()
    assert {each.outcome for each in judge(a_record(BACKTEST)).values()} == {
        Outcome.INSUFFICIENT_DATA
    }


def test_a_healthy_strategy_of_many_years_is_not_told_of() -> None:
    """Live rows like the backtest's, in another order: no severity on any day of twelve years."""
    rng = np.random.default_rng(8)
    live = np.concatenate([rng.permutation(BACKTEST) for _ in range(4)])
    found = [
        each
        for rows in range(20, len(live), 60)
        for each in lived(live[:rows]).values()
        if each.severity is not None
    ]

    assert not found
