"""Decay beside a benchmark, on calibrations as they are issued, stored and read again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import day_words, percent
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.rules.catalogue import DOCUMENTED_LIMITS
from perf_alerts_dagster.judging.rules.decay import OWN_ROWS
from perf_alerts_dagster.judging.rules.gap import judge_gap
from perf_alerts_dagster.judging.rules.hedged import RULE, judge_hedged
from perf_alerts_dagster.judging.summary import summary_of
from perf_alerts_dagster.projections.issue import ProjectionIssuer
from perf_alerts_dagster.projections.ports import MemoryProjections
from perf_alerts_dagster.projections.projection import Outlook
from perf_alerts_dagster.records.model import Floats, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_tests.builders import MARKET, a_record, context_of, noise
from perf_alerts_tests.fakes import FakeRecordsSource

BACKTEST, LIVE = 756, 600
FACTOR = noise(BACKTEST + LIVE, seed=50, mean=0.0003)
OWN = noise(BACKTEST + LIVE, seed=51, mean=0.0, sd=0.006)
HEALTHY = FACTOR + OWN + 0.0009


def traded(
    returns: Floats = HEALTHY,
    benchmark: Floats | None = FACTOR,
    *,
    live: int = LIVE,
    backtest: int = BACKTEST,
    **changes: Any,
) -> StrategyRecord:
    rows = BACKTEST + live
    return a_record(
        returns[backtest:rows],
        backtest=returns[:backtest],
        benchmark=None if benchmark is None else benchmark[:rows],
        **changes,
    )


def fallen(rows: int, by: float = 0.003) -> Floats:
    """The edge is lost in the last rows."""
    return np.where(np.arange(len(HEALTHY)) < len(HEALTHY) - rows, HEALTHY, HEALTHY - by)


def read_of(*records: StrategyRecord) -> Reading:
    newest = max(one.dates[-1] for one in records).astype(object)
    return read(
        FakeRecordsSource(
            TrackRecords(source="test", strategies={one.strategy: one for one in records})
        ),
        MARKET,
        as_of=None,
        now=datetime.combine(newest, time(18), tzinfo=UTC) + timedelta(minutes=1),
        timezone=ZoneInfo("UTC"),
    )


def outlook_of(
    *records: StrategyRecord, haircut: float = 0.0, budgets: Budgets | None = None
) -> Outlook:
    issuer = ProjectionIssuer(
        store=MemoryProjections(),
        paths=200,
        haircut=haircut,
        settings_version="test",
        limits=lambda strategy: DOCUMENTED_LIMITS,
        weights=(budgets or Budgets()).weights_of,
        lives=500,
        whole_life=False,
    )
    reading = read_of(*records)
    issuer.issue_launch(reading, reading.as_of, run_id="run")
    return issuer.outlook(reading.as_of, {})


@cache
def healthy_outlook() -> Outlook:
    return outlook_of(traded())


def judged(
    record: StrategyRecord,
    outlook: Outlook | None = None,
    others: Sequence[StrategyRecord] = (),
    **changes: Any,
) -> Evaluation | None:
    outlook = outlook or healthy_outlook()
    given: dict[str, Any] = {
        "in_force": outlook.in_force,
        "calibrations": outlook.calibrations,
        "records": {one.strategy: one for one in (record, *others)},
    }
    found = judge_hedged(record, context_of(record, **given | changes))
    assert len(found) <= 1
    return found[0] if found else None


def evaluation(*given: Any, **changes: Any) -> Evaluation:
    found = judged(*given, **changes)
    assert found is not None
    assert found.rule == RULE.id
    return found


def test_a_healthy_strategy_is_ok_and_says_what_was_hedged() -> None:
    found = evaluation(traded())
    assert found.outcome is Outcome.OK
    assert found.message.startswith("after hedging 1.02 x the benchmark (R2 .7")
    assert "out of sample): returned +" in found.message
    assert found.parts["beta"] == pytest.approx(1.02, abs=0.01)
    assert found.parts["r2"] == found.parts["r2_benchmark_alone"]
    assert (found.parts["components"], found.parts["hedged"]) == (0, [])
    assert (found.parts["rows"], found.parts["reference_rows"]) == (LIVE - OWN_ROWS, BACKTEST)
    assert found.parts["compared_with"] == "own record"
    assert len(str(found.parts["factors"])) == 64
    assert found.p_year is not None
    assert found.power_252 is not None
    assert found.share_of_limit is not None


def test_a_lost_edge_is_notified_with_the_day_that_it_fell() -> None:
    found = evaluation(traded(fallen(250)))
    assert found.outcome is Outcome.BREACH
    assert found.severity is Severity.CRITICAL
    assert found.notified_severity is Severity.CRITICAL
    assert found.is_notified()
    record = traded(fallen(250))
    fell = str(record.dates[-250])
    parts = found.parts
    assert str(parts["change_from"]) <= fell <= str(parts["change_until"])
    hedged = record.returns - parts["beta"] * (FACTOR - FACTOR[:BACKTEST].mean())
    since = int(np.flatnonzero(record.dates == np.datetime64(str(parts["change_date"])))[0])
    assert parts["loss_since"] == pytest.approx(float(hedged[since:].sum()))
    assert parts["expected"] == pytest.approx(
        (LIVE - OWN_ROWS) * float(hedged[BACKTEST : BACKTEST + OWN_ROWS].mean())
    )
    assert not parts["change_reaches_start"]
    newest = record.dates[-1].astype(object)
    began = date.fromisoformat(str(parts["change_date"]))
    day = day_words(began, beside=newest, weekday=False)
    assert f"; it began to fall about {day} (95 %: " in found.message
    lost = percent(float(hedged[since:].sum()), signed=True)
    assert f" returned {lost} since after hedging; " in found.message
    assert str(parts["headline"]).startswith("hedged, earns ")
    assert str(parts["headline"]).endswith(f" % a year less since {day}")
    assert found.message.endswith(" would expect the level of these sessions")


def test_a_loss_in_currency_is_not_said_of_hedged_rows() -> None:
    record = traded(fallen(250))
    found = evaluation(replace(record, pnl=1e6 * record.returns, currency="USD"))
    assert found.severity is not None
    assert "loss_since_currency" not in found.parts
    assert "USD" not in found.message


def test_a_strategy_that_went_live_below_its_backtest_has_no_decay_beside_its_benchmark() -> None:
    """Shown while it is compared with the backtest; then it is as one without a gap."""
    below = np.where(np.arange(len(HEALTHY)) < BACKTEST, HEALTHY, HEALTHY - 0.002)
    for live in (200, OWN_ROWS):
        found = evaluation(traded(below, live=live))
        assert found.outcome is Outcome.BREACH, live
        assert found.notified_severity is Severity.INFO
        assert "; silent from a haircut of about" in found.message
        assert found.message.endswith("; notified as the gap since launch")
        assert not found.is_notified()
    # A linear score is the same for whatever mean; others nearly so.
    for returns in (HEALTHY, fallen(150)):
        lower = np.where(np.arange(len(HEALTHY)) < BACKTEST, returns, returns - 0.0005)
        for live in (OWN_ROWS + 1, LIVE):
            same, found = (evaluation(traded(each, live=live)) for each in (returns, lower))
            assert found.severity is same.severity
            assert found.value == pytest.approx(same.value, rel=0.2)


def gap_of(
    record: StrategyRecord, others: Sequence[StrategyRecord] = (), outlook: Outlook | None = None
) -> Evaluation:
    outlook = outlook or healthy_outlook()
    records = {one.strategy: one for one in (record, *others)}
    (found,) = judge_gap(
        record,
        context_of(
            record,
            in_force=outlook.in_force,
            calibrations=outlook.calibrations,
            records=records,
        ),
    )
    return found


def test_what_is_found_in_the_first_year_is_notified_as_the_gap_since_launch() -> None:
    below = np.where(np.arange(len(HEALTHY)) < BACKTEST, HEALTHY, HEALTHY - 0.0014)
    shown = evaluation(traded(below, live=150))
    assert (shown.outcome, shown.notified_severity) == (Outcome.BREACH, Severity.INFO)
    found = gap_of(traded(below, live=150))
    assert found.outcome is Outcome.BREACH
    assert found.is_notified()
    assert found.parts["found_by"] == RULE.id
    # Without the benchmark nothing would be found yet, and a hole in it is as expected.
    assert gap_of(traded(below, None, live=150)).outcome is Outcome.OK
    few = np.where(np.arange(len(FACTOR)) % 20 == 0, np.nan, FACTOR)
    few[:BACKTEST] = FACTOR[:BACKTEST]
    assert gap_of(traded(below, few, live=150)).parts["found_by"] == RULE.id
    assert gap_of(traded(live=150)).outcome is Outcome.OK
    plain = traded(below, None, live=150)
    assert gap_of(plain, outlook=outlook_of(plain)).parts.get("found_by") != RULE.id


def test_a_fall_that_is_certain_for_a_warning_alone_is_no_critical() -> None:
    grades = []
    for by in np.linspace(0.0, 0.004, 41):
        found = evaluation(traded(fallen(200, by=by)))
        levels, share = found.parts["levels"], found.p_year
        assert isinstance(levels, dict)
        assert share is not None
        rare = [share <= levels[name] for name in ("warning", "critical")]  # type: ignore[operator]
        assert rare == [found.severity is not None, found.severity is Severity.CRITICAL], by
        assert found.notified_severity is found.severity
        grades.append(found.severity)
    assert list(dict.fromkeys(grades)) == [None, Severity.WARNING, Severity.CRITICAL]


def test_a_fall_of_the_benchmark_alone_is_no_decay() -> None:
    crash = FACTOR.copy()
    crash[-60:] -= 0.006
    found = evaluation(traded(crash + OWN + 0.0009, crash))
    assert found.outcome is Outcome.OK
    assert found.p_year == pytest.approx(evaluation(traded()).p_year, abs=0.1)


def test_no_haircut_silences_a_strategy_that_loses() -> None:
    losing = np.where(np.arange(len(HEALTHY)) < BACKTEST, HEALTHY, HEALTHY - 0.006)
    for live, said in ((200, "silence it"), (LIVE, "expect the level of these sessions")):
        found = evaluation(traded(losing if live < LIVE else fallen(250, by=0.006), live=live))
        assert found.parts["silent_haircut"] is None
        assert f"; no haircut would {said}" in found.message


def test_a_haircut_lowers_what_is_expected() -> None:
    record = traded(live=200)
    whole, half = evaluation(record), evaluation(record, outlook_of(record, haircut=0.5))
    assert "haircut 50 %" in half.message
    assert half.parts["expected"] == pytest.approx(
        float(whole.parts["expected"]) - 0.5 * 200 * HEALTHY[:BACKTEST].mean()  # type: ignore[arg-type]
    )


def test_without_a_benchmark_there_is_no_evaluation() -> None:
    plain = traded(benchmark=None)
    assert judged(plain, outlook_of(plain)) is None
    none = traded(benchmark=np.full(len(FACTOR), np.nan))
    assert judged(none, outlook_of(none)) is None
    assert judged(plain, Outlook()) is None


def test_without_a_projection_or_a_calibration_with_a_benchmark_it_is_insufficient() -> None:
    found = evaluation(traded(), Outlook())
    assert found.outcome is Outcome.INSUFFICIENT_DATA
    before = outlook_of(traded(benchmark=None))
    for outlook in (before, replace(before, calibrations={})):
        found = evaluation(traded(), outlook)
        assert found.outcome is Outcome.INSUFFICIENT_DATA
        assert "from the next calibration on" in found.message


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        (
            np.where(np.arange(len(FACTOR)) < BACKTEST - 100, np.nan, FACTOR),
            "100 of 252 reference rows with a benchmark",
        ),
        (
            noise(len(FACTOR), seed=77),
            "0 of 30 % of variance by the benchmark, out of sample (R2)",
        ),
        (
            HEALTHY,
            "nothing is left beside the benchmark (R2 1.00 out",
        ),
    ],
    ids=["100-rows", "unrelated", "itself"],
)
def test_a_benchmark_that_cannot_be_hedged_is_insufficient_and_says_why(
    benchmark: Floats, message: str
) -> None:
    record = traded(benchmark=benchmark)
    found = evaluation(record, outlook_of(record))
    assert found.outcome is Outcome.INSUFFICIENT_DATA
    assert found.message.startswith(message)
    assert found.parts["lacking"]


def test_what_cannot_be_hedged_does_not_make_a_strategy_too_little_data() -> None:
    rules = ("decay_cusum", "drawdown")
    enough, lacking = (
        Evaluation(strategy="trend", rule=rule, outcome=outcome)
        for rule, outcome in zip(rules, (Outcome.OK, Outcome.INSUFFICIENT_DATA), strict=True)
    )
    unhedged = replace(lacking, rule=RULE.id)
    assert summary_of([enough, lacking, unhedged]).too_little is None


def with_holes(*live: int | slice) -> Floats:
    found = FACTOR.copy()
    for each in live:
        found[BACKTEST:][each] = np.nan
    return found


def test_live_rows_without_a_benchmark_are_left_out_and_counted() -> None:
    found = evaluation(traded(benchmark=with_holes(slice(0, 60))))
    assert found.outcome is Outcome.OK
    assert found.parts["left_out"] == 60
    assert found.parts["rows"] == LIVE - 60 - OWN_ROWS
    assert "out of sample), 60 live rows without it left out: returned" in found.message


@pytest.mark.parametrize(
    "benchmark",
    [
        with_holes(slice(0, 61)),
        with_holes(slice(-5, None)),
        np.where(np.arange(len(FACTOR)) < BACKTEST, FACTOR, np.nan),
        None,
    ],
    ids=["more than a tenth", "the newest five", "all", "column gone"],
)
def test_missing_rows_of_the_benchmark_are_never_good_news(benchmark: Floats | None) -> None:
    for returns in (HEALTHY, fallen(250)):
        found = evaluation(traded(returns, benchmark))
        assert found.outcome is Outcome.INSUFFICIENT_DATA
        assert " live rows lack a row of what is hedged" in found.message


def test_the_newest_four_may_be_missing() -> None:
    assert evaluation(traded(benchmark=with_holes(slice(-4, None)))).outcome is Outcome.OK


def test_a_first_live_row_is_judged_and_none_is_insufficient() -> None:
    assert evaluation(traded(live=1)).outcome is Outcome.OK
    record = traded(live=1)
    outlook = healthy_outlook()
    found = evaluation(record, outlook, provisional=True)
    assert found.outcome is Outcome.INSUFFICIENT_DATA
    assert found.observations == 0


def test_without_a_backtest_the_first_live_rows_are_the_reference_and_the_own_record() -> None:
    returns = np.where(np.arange(len(HEALTHY)) < BACKTEST, HEALTHY, HEALTHY - 0.0025)
    rows = BACKTEST + 150
    record = a_record(returns[:rows], benchmark=FACTOR[:rows])
    found = evaluation(record, outlook_of(record))
    assert found.parts["rows"] == 150
    assert found.outcome is Outcome.BREACH
    assert found.is_notified()
    assert found.parts["compared_with"] == "own record"
    assert judged(a_record(HEALTHY[:500], benchmark=FACTOR[:500]), Outlook()) is not None


SECOND = noise(len(FACTOR), seed=70, sd=0.01)


@cache
def wide() -> tuple[StrategyRecord, tuple[StrategyRecord, ...]]:
    others = tuple(
        traded(SECOND + noise(len(FACTOR), seed=80 + each, sd=0.004), None, strategy=f"other{each}")
        for each in range(6)
    )
    return traded(HEALTHY + SECOND), others


@cache
def wide_outlook() -> Outlook:
    record, others = wide()
    return outlook_of(record, *others)


def test_components_of_the_others_are_hedged_with_their_live_rows() -> None:
    record, others = wide()
    found = evaluation(record, wide_outlook(), others)
    assert found.outcome is Outcome.OK
    assert set(found.parts["hedged"]) == {one.strategy for one in others}  # type: ignore[arg-type]
    assert "of 6 other strategies" in found.message
    assert "by the benchmark alone)" in found.message
    assert float(found.parts["r2"]) > float(found.parts["r2_benchmark_alone"]) + 0.05  # type: ignore[arg-type]


def test_the_hash_of_the_factors_follows_the_others_rows() -> None:
    record, others = wide()
    restated = others[0].returns.copy()
    restated[-1] += 0.01
    one = evaluation(record, wide_outlook(), others)
    other = evaluation(record, wide_outlook(), (replace(others[0], returns=restated), *others[1:]))
    assert one.parts["factors"] != other.parts["factors"]
    assert one.value != other.value


def test_a_row_that_another_strategy_lacks_is_left_out_and_its_end_is_no_good_news() -> None:
    record, others = wide()
    late = others[0].rows(0, len(others[0]) - 2)
    found = evaluation(record, wide_outlook(), (late, *others[1:]))
    assert (found.outcome, found.parts["left_out"]) == (Outcome.OK, 2)
    retired = others[0].rows(0, len(others[0]) - 30)
    for gone in ((retired, *others[1:]), others[1:]):
        found = evaluation(record, wide_outlook(), gone)
        assert found.outcome is Outcome.INSUFFICIENT_DATA


def test_groups_are_never_hedged() -> None:
    record = traded(strategy="ALL")
    outlook = outlook_of(traded(), record)
    assert "hedged" not in str(sorted(outlook.calibrations["ALL"].worst))
    assert outlook.calibrations["ALL"].hedge is None
    assert outlook.calibrations["trend"].hedge is not None


def test_strategies_without_a_benchmark_have_no_share_of_it_and_every_number_as_before() -> None:
    plain, beside = (traded(benchmark=None, strategy=name) for name in ("plain", "beside"))
    hedged_one = traded()
    alone, together = outlook_of(plain), outlook_of(plain, hedged_one)
    one, other = alone.calibrations["plain"], together.calibrations["plain"]
    assert not any(name.startswith(RULE.id) for name in one.worst)
    assert RULE.id not in Budgets().levels_of("plain", one, 1)
    assert RULE.id in Budgets().levels_of("trend", together.calibrations["trend"], 1)
    for name, values in one.worst.items():
        assert np.array_equal(values, other.worst[name])
    same = outlook_of(beside).calibrations["beside"]
    assert Budgets().levels_of("beside", same, 1) == Budgets().levels_of("plain", one, 1)
    # With the rule's weight set by a person, too.
    high = Budgets(rules={RULE.id: {"warning": 0.5, "critical": 0.4}})
    assert high.factors_of("plain", one, 1) == Budgets().factors_of("plain", one, 1)
    assert high.expected("plain", one, 1) == Budgets().expected("plain", one, 1)
