from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.context import Rating
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.judging.rules.data_quality import (
    NO_DATA,
    judge_data,
    newest_run,
    no_data,
    record_error,
    vanished,
)
from perf_alerts_dagster.judging.rules.thresholds import DRAWDOWN, WIPE_OUT
from perf_alerts_dagster.projections.calibration import TAILS, Calibration
from perf_alerts_dagster.projections.projection import InForce, ProjectionsInForce
from perf_alerts_dagster.records.desk import Seen
from perf_alerts_dagster.records.model import Floats, RecordFault, StrategyRecord
from perf_alerts_dagster.statistics.decay import decay_reference
from perf_alerts_dagster.statistics.runs import run_law
from perf_alerts_dagster.statistics.wins_losses import longest_run
from perf_alerts_tests.builders import a_record, context_of, near, noise
from perf_alerts_tests.judging.wording import plain
from perf_alerts_tests.sizes import in_usual


def judge(record: StrategyRecord, rule: str, **changes: Any) -> Evaluation:
    found = {one.rule: one for one in judge_data(record, context_of(record, **changes))}
    return found[rule]


def flat(rows: int, runs: int) -> Floats:
    """A backtest whose longest run of flat days is `runs`."""
    made = noise(rows)
    made[50 : 50 + runs] = 0.0
    return made


@pytest.mark.parametrize(("late", "severity"), [(0, None), (1, Severity.INFO), (2, Severity.INFO)])
def test_late_within_what_is_allowed_is_info(late: int, severity: Severity | None) -> None:
    record = a_record(noise(70))

    stale = judge(record, "stale_data", lateness={"trend": late})

    assert stale.severity is severity


def test_no_data_is_ok_while_rows_arrive() -> None:
    assert judge(a_record(noise(70)), "no_data").outcome is Outcome.OK


def test_no_data_is_critical_for_its_own_rule_and_plain_for_the_others() -> None:
    own = no_data("trend", NO_DATA, late=5, allowed=2, newest="Mon 5 Jan")
    other = no_data("trend", DRAWDOWN, late=5, allowed=2, newest="Mon 5 Jan")

    assert own.message == other.message == ("no rows since Mon 5 Jan: 5 sessions late, 2 allowed")
    assert own.parts == {"headline": "no rows since Mon 5 Jan (5 sessions late)"}
    assert not other.parts
    assert plain(own) == Evaluation(
        strategy="trend",
        rule="no_data",
        outcome=Outcome.NO_DATA,
        severity=Severity.CRITICAL,
        value=5.0,
        limit=2.0,
        evidence=Evidence.UNGATED,
    )
    assert plain(other) == replace(plain(own), rule="drawdown", severity=None, evidence=None)


@pytest.mark.parametrize(
    ("run", "outcome"), [(4, Outcome.OK), (5, Outcome.OK), (6, Outcome.BREACH)]
)
def test_a_flat_run_breaches_only_when_longer_than_the_backtests_longest(
    run: int, outcome: Outcome
) -> None:
    record = a_record([*noise(20), *np.zeros(run)], backtest=flat(300, 5))

    judged = judge(record, "flat_run")

    assert judged.outcome is outcome
    assert judged.value == run
    assert judged.limit == 5


def test_one_flat_day_is_no_run_even_where_the_backtest_has_none() -> None:
    record = a_record([*noise(20), 0.0], backtest=noise(300))

    assert judge(record, "flat_run").outcome is Outcome.OK


def test_a_flat_run_that_ended_is_over() -> None:
    record = a_record([*np.zeros(30), 0.01], backtest=noise(300))

    assert judge(record, "flat_run").outcome is Outcome.OK


@pytest.mark.parametrize(("copies", "outcome"), [(3, Outcome.OK), (4, Outcome.BREACH)])
def test_the_same_pnl_again_and_again_is_a_stuck_feed(copies: int, outcome: Outcome) -> None:
    record = a_record([*noise(20), *np.full(copies, 0.0123)], backtest=noise(300))

    judged = judge(record, "repeated_pnl")

    assert judged.outcome is outcome
    assert judged.value == copies - 1


def test_zero_again_and_again_is_flat_and_not_repeated() -> None:
    record = a_record([*noise(20), *np.zeros(10)], backtest=noise(300))

    assert judge(record, "repeated_pnl").outcome is Outcome.OK
    assert judge(record, "flat_run").severity is Severity.WARNING


@pytest.mark.parametrize("rule", ["flat_run", "repeated_pnl"])
def test_a_run_needs_a_backtest_to_compare_with(rule: str) -> None:
    record = a_record(np.zeros(70), backtest=noise(251))

    judged = judge(record, rule)

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert (judged.observations, judged.required) == (251, 252)


@pytest.mark.parametrize(
    ("ratio", "outcome"),
    [
        (0.499, Outcome.BREACH),
        (0.501, Outcome.OK),
        (1.0, Outcome.OK),
        (1.999, Outcome.OK),
        (2.001, Outcome.BREACH),
    ],
)
def test_volatility_outside_half_to_twice_the_backtests_is_a_warning(
    ratio: float, outcome: Outcome
) -> None:
    backtest, live = noise(300), noise(63, seed=2)
    live = live / live.std(ddof=1) * backtest.std(ddof=1) * ratio

    judged = judge(a_record(live, backtest=backtest), "volatility_shift")

    assert judged.outcome is outcome
    assert judged.value == pytest.approx(ratio)
    assert judged.severity is (Severity.WARNING if outcome is Outcome.BREACH else None)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_volatility_at_its_bound_is_not_outside_whatever_the_rounding(ratio: float) -> None:
    for seed in range(20):
        backtest, live = noise(300, seed=seed), noise(63, seed=seed + 50)
        live = live / live.std(ddof=1) * backtest.std(ddof=1) * ratio
        judged = judge(a_record(live, backtest=backtest), "volatility_shift")

        assert judged.outcome is Outcome.OK, judged.value


def test_volatility_beyond_numbers_is_insufficient() -> None:
    record = a_record(np.abs(noise(63)) * 1e200, backtest=noise(300))

    assert judge(record, "volatility_shift").outcome is Outcome.INSUFFICIENT_DATA


def test_a_late_event_rule_is_still_an_event() -> None:
    late = no_data("trend", WIPE_OUT, late=5, allowed=2, newest="Mon 5 Jan")

    assert late.kind is Kind.EVENT


@pytest.mark.parametrize(("live", "backtest"), [(62, 300), (63, 251)])
def test_volatility_needs_63_live_and_252_backtest_rows(live: int, backtest: int) -> None:
    record = a_record(noise(live), backtest=noise(backtest))

    assert judge(record, "volatility_shift").outcome is Outcome.INSUFFICIENT_DATA


def test_a_backtest_that_does_not_vary_compares_with_nothing() -> None:
    record = a_record(noise(63), backtest=np.full(300, 0.001))

    judged = judge(record, "volatility_shift")

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert "does not vary" in judged.message


def test_a_record_error_shows_three_faults_and_counts_the_rest() -> None:
    faults = tuple(
        RecordFault(where="daily.csv", row=row, column="pnl", rule="is not a number")
        for row in range(2, 7)
    )

    judged = record_error("trend", faults)

    assert judged.outcome is Outcome.ERROR
    assert judged.evidence is Evidence.UNGATED
    assert judged.message.startswith("daily.csv, row 2, column pnl: is not a number; ")
    assert judged.message.endswith("; and 2 more")
    assert len(judged.parts["faults"]) == 5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "longest", "newest"),
    [
        ([], 0, 0),
        ([0], 0, 0),
        ([1], 1, 1),
        ([1, 1, 0, 1], 2, 1),
        ([0, 1, 1], 2, 2),
        ([1, 0], 1, 0),
        ([1, 1, 1, 0, 1, 0, 1, 1], 3, 2),
        ([1, 0, 1, 1, 1, 0, 1], 3, 1),
    ],
)
def test_runs_are_counted(flags: list[int], longest: int, newest: int) -> None:
    given = np.array(flags, dtype=bool)

    assert longest_run(given) == longest
    assert newest_run(given) == newest


def said(rule: str, **changes: Any) -> Evaluation:
    """A warning that needs no evidence, changed as asked."""
    given: dict[str, Any] = {
        "strategy": "trend",
        "rule": rule,
        "outcome": Outcome.BREACH,
        "severity": Severity.WARNING,
        "evidence": Evidence.UNGATED,
    }
    return Evaluation(**(given | changes))


# A rule with a rate of its own, before the strategy's healthy lives scale its share.
LEVELS = {"levels": {"warning": near(0.001), "critical": near(0.0002)}}


def weak(p_year: float) -> dict[str, Any]:
    assert p_year > 0.001
    return {"evidence": Evidence.WEAK, "p_year": p_year}


FINE: dict[str, Any] = {"outcome": Outcome.OK, "severity": None, "evidence": None}
UNMEASURED = FINE | {"outcome": Outcome.INSUFFICIENT_DATA}


@pytest.mark.parametrize("late", [0, 2])
def test_all_that_is_said_of_the_newest_row(late: int) -> None:
    record = a_record(noise(3))
    context: dict[str, Any] = {"lateness": {"trend": late}, "max_lag_sessions": 4}

    assert plain(judge(record, "no_data", **context)) == said(
        "no_data",
        value=float(late),
        limit=4.0,
        observations=3,
        required=1,
        **FINE,
    )
    behind = {} if late else FINE
    assert plain(judge(record, "stale_data", **context)) == said(
        "stale_data",
        value=float(late),
        limit=1.0,
        observations=3,
        required=1,
        **({"severity": Severity.INFO} | behind),
    )


@pytest.mark.parametrize(
    ("longest", "run", "limit", "changes"),
    [(5, 5, 5.0, FINE), (5, 6, 5.0, {}), (0, 1, 1.0, FINE), (0, 2, 1.0, {})],
)
def test_all_that_is_said_of_a_flat_run(
    longest: int, run: int, limit: float, changes: dict[str, Any]
) -> None:
    record = a_record([*noise(20), *np.zeros(run)], backtest=flat(300, longest))

    law = run_law(record.returns[:300] == 0.0)
    assert plain(judge(record, "flat_run")) == said(
        "flat_run",
        value=float(run),
        limit=limit,
        observations=300,
        required=252,
        **(changes or weak(law.yearly_share(run, 252))),
        parts={"backtest_longest": longest, **({} if changes else LEVELS)},
    )


@pytest.mark.parametrize(
    ("longest", "run", "limit", "changes"),
    [(0, 2, 2.0, FINE), (0, 3, 2.0, {}), (4, 4, 4.0, FINE), (4, 5, 4.0, {})],
)
def test_all_that_is_said_of_a_repeated_pnl(
    longest: int, run: int, limit: float, changes: dict[str, Any]
) -> None:
    backtest = noise(252)
    backtest[50 : 51 + longest] = 0.02
    record = a_record([*noise(20), *np.full(run + 1, 0.0123)], backtest=backtest)
    law = run_law(np.concatenate([[False], backtest[1:] == backtest[:-1]]))

    assert plain(judge(record, "repeated_pnl")) == said(
        "repeated_pnl",
        value=float(run),
        limit=limit,
        observations=252,
        required=252,
        **(changes or weak(law.yearly_share(run, 252))),
        parts={"backtest_longest": longest, **({} if changes else LEVELS)},
    )


def test_runs_are_of_the_pnl_where_there_is_one() -> None:
    returns = np.concatenate([noise(300), np.full(30, 0.0123)])
    pnl = 1000.0 * np.concatenate([noise(300), noise(25, seed=2), np.zeros(5)])
    record = a_record(returns[300:], backtest=returns[:300], pnl=pnl, capital=np.full(330, 1e3))

    assert judge(record, "repeated_pnl").value == 0.0
    assert judge(record, "flat_run").value == 5.0


@pytest.mark.parametrize("rule", ["flat_run", "repeated_pnl"])
@pytest.mark.parametrize(("backtest", "live"), [(251, 5), (300, 0)])
def test_all_that_is_said_of_a_run_without_a_backtest_or_a_live_row(
    rule: str, backtest: int, live: int
) -> None:
    record = a_record(noise(live), backtest=noise(backtest))

    assert plain(judge(record, rule)) == said(
        rule,
        observations=min(backtest, 252),
        required=252,
        parts={"lacking": "backtest rows"} if backtest < 252 else {},
        **UNMEASURED,
    )


@pytest.mark.parametrize(
    ("ratio", "limit", "changes"),
    [(0.4, 0.5, {}), (0.75, 0.5, FINE), (1.25, 2.0, FINE), (2.5, 2.0, {})],
)
def test_all_that_is_said_of_the_volatility(
    ratio: float, limit: float, changes: dict[str, Any]
) -> None:
    # Only the newest 756 backtest rows and the newest 63 live ones count.
    backtest = np.concatenate([noise(100, seed=3, sd=0.5), noise(756)])
    live = noise(63, seed=2)
    live = live / live.std(ddof=1) * backtest[-756:].std(ddof=1) * ratio
    record = a_record(np.concatenate([noise(10, seed=4, sd=0.5), live]), backtest=backtest)

    assert plain(judge(record, "volatility_shift")) == said(
        "volatility_shift",
        value=near(ratio),
        limit=limit,
        observations=63,
        required=63,
        **(changes or {"evidence": Evidence.UNRATED}),
    )


@pytest.mark.parametrize(
    ("record", "observations", "why"),
    [
        (a_record(noise(62), backtest=noise(300)), 62, "needs 252 backtest rows as well"),
        (a_record(noise(63), backtest=np.full(300, 0.001)), 63, "the backtest does not vary"),
        (
            a_record(np.abs(noise(63)) * 1e200, backtest=noise(300)),
            63,
            "a return is beyond numbers",
        ),
        (
            a_record(noise(63), backtest=np.abs(noise(300)) * 1e200),
            63,
            "a return is beyond numbers",
        ),
    ],
)
def test_all_that_is_said_where_no_volatility_can_be_compared(
    record: StrategyRecord, observations: int, why: str
) -> None:
    assert plain(judge(record, "volatility_shift")) == said(
        "volatility_shift",
        observations=observations,
        required=63,
        **UNMEASURED,
    )


@pytest.mark.parametrize(("live", "backtest"), [(63, 251), (90, 100), (10, 100)])
def test_all_that_is_said_of_a_volatility_without_a_backtest(live: int, backtest: int) -> None:
    record = a_record(noise(live), backtest=noise(backtest))

    assert plain(judge(record, "volatility_shift")) == said(
        "volatility_shift",
        observations=backtest,
        required=252,
        parts={"lacking": "backtest rows"},
        **UNMEASURED,
    )


@pytest.mark.parametrize(
    ("count", "rest", "counted"),
    [(1, "", "1 fault"), (3, "", "3 faults"), (4, "; and 1 more", "4 faults")],
)
def test_all_that_is_said_of_a_record_error(count: int, rest: str, counted: str) -> None:
    faults = tuple(
        RecordFault(where="daily.csv", row=row, column="pnl", rule="is not a number")
        for row in range(2, 2 + count)
    )
    texts = [f"daily.csv, row {row}, column pnl: is not a number" for row in range(2, 2 + count)]

    found = record_error("trend", faults)

    assert found.message == "; ".join(texts[:3]) + rest
    assert found.parts["headline"] == f"{counted} in its rows, the first in row 2"
    assert plain(found) == said(
        "record_error",
        outcome=Outcome.ERROR,
        severity=Severity.CRITICAL,
        parts={"faults": texts},
    )


def test_a_window_that_lacks_more_than_a_tenth_of_its_sessions_has_no_volatility() -> None:
    full = a_record(noise(100, seed=2), backtest=noise(300))
    kept = np.r_[300:360, 375:400]
    gappy = a_record(
        full.returns[kept],
        backtest=full.returns[:300],
        dates=full.dates[np.r_[0:300, kept]],
    )

    judged = judge(gappy, "volatility_shift", sessions=full.dates)

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert judged.message == "15 of the window's 78 sessions have no row"


def test_a_strategy_that_vanished_has_one_critical_outcome_and_says_what_ends_it() -> None:
    day = date(2026, 1, 5)
    seen = Seen(rows=3, first=day, last=day, capital=1.0)

    found = vanished("a b", seen, date(2027, 1, 8))
    assert found.message == (
        "the source no longer has it, its newest row was of 5 Jan 2026; to end it: "
        "perf-alerts strategies retire 'a b' --from DATE --reason TEXT"
    )
    assert found.parts["headline"] == "no rows since 5 Jan 2026, none at all"
    assert plain(found) == Evaluation(
        strategy="a b",
        rule="no_data",
        outcome=Outcome.NO_DATA,
        severity=Severity.CRITICAL,
        evidence=Evidence.UNGATED,
        parts={"last_seen": "2026-01-05"},
    )


@pytest.mark.parametrize("backtest", [300, 756, 2_520])
def test_three_weeks_without_a_result_are_notified_where_there_was_no_flat_day(
    backtest: int,
) -> None:
    record = a_record([*noise(20), *np.zeros(15)], backtest=noise(backtest))

    judged = judge(record, "flat_run")

    assert judged.evidence is Evidence.STRONG
    assert judged.notified_severity is Severity.WARNING
    assert judged.is_notified()


@pytest.mark.parametrize("rule", ["flat_run", "repeated_pnl"])
def test_a_feed_that_is_stuck_for_three_weeks_is_notified(rule: str) -> None:
    stuck = 0.0 if rule == "flat_run" else 0.0123
    record = a_record([*noise(20), *np.full(16, stuck)], backtest=noise(756))

    assert judge(record, rule).is_notified()


def test_a_run_a_little_longer_than_ever_is_shown_and_not_notified() -> None:
    flat_days = np.random.default_rng(1).random(756) < 0.6
    longest = longest_run(flat_days)
    backtest = np.where(flat_days, 0.0, noise(756))
    record = a_record([*noise(20), *np.zeros(longest + 1)], backtest=backtest)

    judged = judge(record, "flat_run")

    assert judged.severity is Severity.WARNING
    assert judged.evidence is Evidence.WEAK
    assert not judged.is_notified()


def test_a_pause_longer_than_ever_is_not_notified_where_pauses_last_for_months() -> None:
    backtest = flat(756, 200)
    backtest[np.random.default_rng(2).integers(300, 756, 20)] = 0.0
    record = a_record([*noise(20), *np.zeros(260)], backtest=backtest)

    assert judge(record, "flat_run").evidence is Evidence.WEAK


@pytest.mark.parametrize(
    ("p_year", "evidence"),
    [(0.001, Evidence.STRONG), (0.003, Evidence.WEAK), (None, Evidence.UNRATED)],
)
def test_a_changed_volatility_is_notified_by_the_strategys_healthy_years(
    p_year: float | None, evidence: Evidence
) -> None:
    backtest, live = noise(756), noise(63, seed=2, sd=0.05)
    record = a_record(live, backtest=backtest)

    judged = judge(
        record,
        "volatility_shift",
        rate=lambda strategy, rule, value: None if p_year is None else Rating(p_year=p_year),
    )

    assert judged.severity is Severity.WARNING
    assert judged.evidence is evidence
    assert judged.is_notified() is (evidence is Evidence.STRONG)


RNG = np.random.default_rng(12)
REFERENCE = RNG.normal(0.0005, 0.01, 2_000)
DECAY = decay_reference(np.log1p(REFERENCE))
# The CUSUM of a healthy year, from rare to common: 10 is reached in a per mille of them.
HEALTHY = Calibration(
    worst={"volatility_shift": np.linspace(12.0, 2.0, len(TAILS))},
    factors={"warning": np.full(len(TAILS), 1.0), "critical": np.full(len(TAILS), 1.0)},
    decay=DECAY,
)


def volatility_of(
    live: Floats, *, level: float = 0.002, healthy: Calibration = HEALTHY, **changes: Any
) -> Evaluation:
    record = a_record(live, backtest=REFERENCE)
    context = context_of(
        record,
        in_force={"trend": ProjectionsInForce(launch=cast("InForce", LAUNCH))},
        calibrations={"trend": healthy},
        budgets=Budgets(
            rules={"volatility_shift": {"warning": level, "critical": min(level, 0.0003)}}
        ),
        **changes,
    )
    return {one.rule: one for one in judge_data(record, context)}["volatility_shift"]


LAUNCH = SimpleNamespace(baseline_from=None)


def sized(*sizes: float) -> Floats:
    """Moves of so many times the usual size, up and down in turn."""
    assert DECAY is not None
    signs = np.where(np.arange(len(sizes)) % 2 == 0, 1.0, -1.0)
    logs = DECAY.mean + signs * in_usual(*sizes) * DECAY.size * DECAY.sigma
    returns: Floats = np.expm1(logs)
    return returns


def test_a_shift_says_how_large_moves_are_since_when_and_what_is_rare() -> None:
    rare = HEALTHY.badness_at("volatility_shift", 0.002)
    judged = volatility_of(sized(*[1.0] * 40, *[1.7] * 30))

    assert judged.value == pytest.approx(1.7)
    assert judged.limit == pytest.approx(1.2 + rare / 30)
    assert judged.severity is Severity.WARNING
    assert judged.evidence is Evidence.STRONG
    assert judged.parts["cusum"] == pytest.approx(15.0)
    day = a_record(sized(*[1.0] * 70), backtest=REFERENCE).dates[-30]
    assert (judged.parts["since"], judged.parts["rows"]) == (str(day), 30)
    assert str(day) == "2030-10-28"
    assert judged.parts["headline"] == "volatility 1.7 x its usual since about 28 Oct"
    assert judged.message == (
        f"volatility 1.7 x its usual since about 28 Oct (CUSUM 15.0, rare from {rare:.1f} on)"
    )


def test_what_is_beyond_the_limit_is_beyond_the_rare_sum_on_either_side() -> None:
    for sizes in ([1.7] * 10, [1.7] * 30, [0.1] * 10, [0.1] * 30):
        judged = volatility_of(sized(*[1.0] * 40, *sizes))
        assert judged.value is not None
        assert judged.limit is not None
        is_beyond = judged.value >= judged.limit if sizes[0] > 1 else judged.value <= judged.limit
        assert is_beyond is (judged.outcome is Outcome.BREACH), sizes
        assert judged.is_notified() is is_beyond
        assert (judged.severity or Severity.WARNING) is Severity.WARNING


def test_a_shift_ends_when_moves_are_as_before_and_begins_anew() -> None:
    wild, calm = [1.0] * 20 + [2.0] * 100, [1.0]
    days = [volatility_of(sized(*wild, *calm * after)) for after in range(70)]
    outcomes = [each.outcome for each in days]

    # The sum is 80, and would need 350 ordinary days to fall below 10 by itself.
    ended = outcomes.index(Outcome.OK)
    assert 40 < ended < 63
    assert set(outcomes[ended:]) == {Outcome.OK}
    assert days[ended].p_year == 1.0


def test_without_a_level_no_sum_is_rare() -> None:
    judged = volatility_of(sized(*[2.0] * 60), level=0.0)

    assert judged.outcome is Outcome.OK
    assert judged.limit is None
    assert judged.message.endswith("(CUSUM 48.0)")


def test_where_no_healthy_move_is_counted_any_is_rare_and_none_is_no_shift() -> None:
    still = replace(HEALTHY, worst={"volatility_shift": np.zeros(len(TAILS))})
    same = volatility_of(sized(*[1.0] * 60), healthy=still)
    wilder = volatility_of(sized(*[1.0] * 60, *[1.5] * 3), healthy=still)

    assert (same.outcome, same.p_year) == (Outcome.OK, 1.0)
    assert same.value == pytest.approx(1.0)
    assert same.message.endswith("(CUSUM 0.0)")
    assert wilder.is_notified()
    assert wilder.limit == pytest.approx(1.2)
    assert wilder.message.endswith("(CUSUM 0.9, any is rare)")


@pytest.mark.parametrize("rows", [1, 4])
def test_a_shift_needs_a_week_of_live_rows_and_no_quarter(rows: int) -> None:
    judged = volatility_of(sized(*[2.0] * rows))

    assert judged.outcome is Outcome.INSUFFICIENT_DATA
    assert (judged.observations, judged.required) == (rows, 5)
    assert volatility_of(sized(*[3.0] * 6)).outcome is Outcome.BREACH


def test_a_baseline_begins_the_sum_anew() -> None:
    live = np.concatenate([sized(*[2.0] * 60), sized(*[1.0] * 20)])
    dates = a_record(live, backtest=REFERENCE).dates
    launch = SimpleNamespace(baseline_from=dates[-20].astype(object))
    record = a_record(live, backtest=REFERENCE)
    context = context_of(
        record,
        in_force={"trend": ProjectionsInForce(launch=cast("InForce", launch))},
        calibrations={"trend": HEALTHY},
    )
    found = {one.rule: one for one in judge_data(record, context)}["volatility_shift"]

    assert found.observations == 20
    assert found.value == pytest.approx(1.0)


def test_as_documented_the_quarters_volatility_counts_and_its_evidence_is_that_of_the_moves() -> (
    None
):
    book = replace(context_of(a_record(noise(5))).book, is_documented=True)
    judged = volatility_of(sized(*[1.0] * 40, *[1.7] * 63), book=book)

    assert judged.outcome is Outcome.OK
    assert judged.limit == 2.0
    assert judged.message.startswith("volatility 1.")
    assert judged.message.endswith(", the last 63 sessions; limit 2 x")
    assert judged.p_year is not None
    assert judged.p_year < 0.01
