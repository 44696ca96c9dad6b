import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME, Alert, Family
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.projections.bands import fans
from perf_alerts_dagster.projections.projection import Expectation, InForce, Outlook
from perf_alerts_dagster.projections.simulation import draw
from perf_alerts_dagster.records.model import Floats, RecordFault, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.statistics.ewma_volatility import filter_returns
from perf_alerts_tests.builders import MARKET, trades
from perf_alerts_tests.executions.trading_desk import a_strategy, after_close, day
from perf_alerts_tests.fakes import FakeRecordsSource

ROWS = 720
LAST = day(ROWS - 1)
DAILY = BY_NAME["daily_pnl_check"]
# Scores are simulated: seconds per judgement.
EACH_ALERT = [
    pytest.param(
        alert, id=alert.name, marks=[pytest.mark.slow] if Family.SCORE in alert.families else []
    )
    for alert in ALERTS
]


def traded(name: str, *, seed: int) -> StrategyRecord:
    """A strategy of 720 rows with a trade on each day, so that every seeded rule speaks."""
    plain = a_strategy(name, ROWS, seed=seed)
    return StrategyRecord(
        strategy=name,
        dates=plain.dates,
        returns=plain.returns,
        live=plain.live,
        trades=trades(plain.returns.tolist(), exits=plain.dates),
    )


def reading(
    strategies: Sequence[StrategyRecord], *, place: int = ROWS - 1, **changes: object
) -> Reading:
    """Read after the close of the session at `place`."""
    records = TrackRecords(
        source="test",
        strategies={one.strategy: one for one in strategies},
        **changes,  # type: ignore[arg-type]
    )
    return read(
        FakeRecordsSource(records),
        MARKET,
        as_of=None,
        now=after_close(place),
        timezone=ZoneInfo("UTC"),
    )


def judge(
    found: Reading,
    alert: Alert = DAILY,
    *,
    as_of: date = LAST,
    outlook: Outlook | None = None,
    provisional: bool = False,
) -> Judgement:
    return Judge(
        book=limit_book({}, {"default": {"daily_loss": 0.01, "monthly_loss": 0.02}}),
        max_lag_sessions=2,
        budgets=Budgets(),
        settings_version="test",
    ).judge(
        alert,
        found,
        as_of,
        run_id="run",
        now=after_close(ROWS - 1),
        outlook=outlook,
        provisional=provisional,
    )


def of(judgement: Judgement, strategy: str) -> list[Evaluation]:
    return [one for one in judgement.evaluations if one.strategy == strategy]


def shown() -> str:
    """Every bit of every evaluation of every alert: floats print as what they are."""
    found = reading([traded("alpha", seed=1), traded("beta", seed=2)])
    return repr([judge(found, alert) for alert in ALERTS])


@pytest.mark.slow
@pytest.mark.parametrize("alert", EACH_ALERT)
def test_the_same_judgement_twice_is_the_same(alert: Alert) -> None:
    found = reading([traded("alpha", seed=1), traded("beta", seed=2)])

    assert judge(found, alert) == judge(found, alert)


@pytest.mark.slow
def test_another_process_judges_bit_for_bit_the_same() -> None:
    code = "from perf_alerts_tests.judging.test_judge import shown; print(shown())"
    # Another hash seed would show any order that comes from a set.
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "77", "PYTHONPATH": ":".join(sys.path)},
    )

    assert other.stdout.strip() == shown()


@pytest.mark.slow
@pytest.mark.parametrize("alert", EACH_ALERT)
def test_the_order_of_strategies_does_not_matter(alert: Alert) -> None:
    two = [traded("alpha", seed=1), traded("beta", seed=2)]

    assert judge(reading(two), alert) == judge(reading(two[::-1]), alert)


def without_discovery(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    return [
        replace(
            one,
            parts={name: part for name, part in one.parts.items() if name != "benjamini_hochberg"},
        )
        for one in evaluations
    ]


@pytest.mark.slow
@pytest.mark.parametrize("alert", EACH_ALERT)
def test_no_strategys_presence_changes_what_is_said_of_another(alert: Alert) -> None:
    alone = judge(reading([traded("alpha", seed=1)]), alert)
    together = judge(reading([traded("alpha", seed=1), traded("beta", seed=2)]), alert)

    assert of(alone, "alpha")
    # How many looked on that day is what the Benjamini-Hochberg value is about, and it alone.
    assert without_discovery(of(alone, "alpha")) == without_discovery(of(together, "alpha"))


def test_a_notified_breach_of_a_strategy_and_its_group_is_explained() -> None:
    market = np.random.default_rng(4).normal(0.0, 0.01, ROWS)
    market[-1] = -0.06
    strategies = []
    for seed, name in enumerate(("alpha", "beta", "gamma")):
        plain = a_strategy(name, ROWS, seed=seed)
        held = plain.returns * 0.2 + (market if name == "beta" else 0.0)
        strategies.append(replace(plain, returns=held, benchmark=market))
    found = judge(reading(strategies))

    why = {
        (one.strategy, one.rule): one.why for one in found.evaluations if "explained" in one.parts
    }
    assert why["beta", "policy_daily_loss"].startswith("benchmark -6.")
    assert why["ALL", "policy_daily_loss"].startswith("beta -1.9 % that day; ")
    assert all(one.notifies for one in found.evaluations if "explained" in one.parts)
    assert all(one.why == "" for one in found.evaluations if "explained" not in one.parts)
    assert judge(reading(strategies)) == found


def test_rows_after_the_as_of_date_are_not_looked_at() -> None:
    whole = reading([traded("alpha", seed=1)])
    then = day(ROWS - 50)
    cut = reading([traded("alpha", seed=1).until(then)], place=ROWS - 50)

    assert of(judge(whole, as_of=then), "alpha") == of(judge(cut, as_of=then), "alpha")


def test_a_strategy_with_bad_rows_is_an_error_and_the_others_are_judged() -> None:
    fault = RecordFault(where="daily.csv", row=7, column="pnl", rule="is not a number")
    found = judge(reading([traded("alpha", seed=1)], faults={"bad": (fault,)}))

    assert [(one.rule, one.outcome) for one in of(found, "bad")] == [
        ("record_error", Outcome.ERROR)
    ]
    assert "row 7, column pnl" in of(found, "bad")[0].message
    assert Outcome.OK in {one.outcome for one in of(found, "alpha")}


def test_a_strategy_that_is_behind_is_no_data_while_the_others_are_judged() -> None:
    late = traded("late", seed=3).rows(0, ROWS - 3)
    in_time = traded("in time", seed=4).rows(0, ROWS - 2)
    found = judge(reading([traded("alpha", seed=1), late, in_time]))

    assert {one.outcome for one in of(found, "late")} == {Outcome.NO_DATA}
    # Within the allowed lag nobody is notified, and nothing is `ok`.
    assert {one.severity for one in of(found, "in time") if one.rule == "no_data"} == {None}
    assert Outcome.OK not in {one.outcome for one in of(found, "in time")}


def test_without_an_earlier_projection_no_change_of_it_is_judged() -> None:
    found = judge(reading([traded("alpha", seed=1)]), BY_NAME["monthly_forward_test_update"])

    assert [(one.rule, one.outcome) for one in of(found, "alpha")] == [
        ("forward_test_change", Outcome.INSUFFICIENT_DATA)
    ]


def test_the_monthly_alert_compares_the_expectations_of_the_outlook() -> None:
    months = [
        Expectation(issued_on="2026-01-01", monthly=value, standard_error=0.001)
        for value in (0.02, 0.01)
    ]
    found = judge(
        reading([traded("alpha", seed=1)]),
        BY_NAME["monthly_forward_test_update"],
        outlook=Outlook(expectations={"alpha": (months[0], months[1])}),
    )

    assert of(found, "alpha")[0].value == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("seed", "severity", "evidence"),
    [(5, Severity.WARNING, "unrated"), (1, Severity.EMERGENCY, "ungated")],
    ids=["short of its line", "past its line"],
)
def test_a_drawdown_needs_evidence_short_of_its_line_projected_or_not(
    seed: int, severity: Severity, evidence: str
) -> None:
    found = reading([traded("alpha", seed=seed)])
    for outlook in (Outlook(), Outlook(projected=frozenset({"alpha"}))):
        rules = {one.rule: one for one in of(judge(found, outlook=outlook), "alpha")}

        assert rules["drawdown"].severity is severity
        assert rules["drawdown"].evidence == evidence


def test_other_rows_are_another_data_hash() -> None:
    one, other = reading([traded("alpha", seed=1)]), reading([traded("alpha", seed=2)])

    assert judge(one).data_hash != judge(other).data_hash
    assert judge(one).seed == judge(other).seed


def test_another_run_of_the_same_judgement_repeats_it() -> None:
    first = judge(reading([traded("alpha", seed=1)]))
    second = replace(first, run_id="again", judged_at=after_close(ROWS), restated=True)

    assert first.repeats(second)
    assert not first.repeats(replace(second, data_hash="other rows"))


def test_a_provisional_date_is_judged_on_the_final_rows_before_it() -> None:
    whole = reading([traded("alpha", seed=1)])
    before = judge(replace(whole, last_final=day(ROWS - 2)), provisional=True)

    sharpe = {one.rule: one for one in of(before, "alpha")}["rolling_sharpe"]
    then = {one.rule: one for one in of(judge(whole, as_of=day(ROWS - 2)), "alpha")}
    assert before.provisional
    assert sharpe.value == then["rolling_sharpe"].value


@pytest.mark.parametrize(
    ("issued", "evidence"),
    [(day(ROWS - 22), "weak"), (LAST, "unrated")],
    ids=["a month ago", "today"],
)
def test_a_fall_of_the_expectation_is_rated_by_the_months_own_path(
    issued: date, evidence: str
) -> None:
    alpha = traded("alpha", seed=1)
    fallen = replace(alpha, returns=np.concatenate([alpha.returns[:-21], np.full(21, -0.05)]))
    found = judge(
        reading([fallen]),
        BY_NAME["monthly_forward_test_update"],
        outlook=Outlook(
            expectations={
                "alpha": (
                    Expectation(issued_on="2026-01-01", monthly=0.02, standard_error=0.001),
                    Expectation(issued_on="2026-02-01", monthly=0.001, standard_error=0.001),
                )
            },
            monthly={"alpha": month_of(alpha.returns[:-21], issued)},
        ),
    )

    assert of(found, "alpha")[0].evidence == evidence


def month_of(returns: Floats, issued: date) -> InForce:
    residuals = filter_returns(returns)
    assert residuals is not None
    (fan,) = fans([residuals], draw(1, 1000, 21), 21)
    return InForce(
        kind="current",
        issued_on=issued,
        fan=fan,
        mean=float(returns.mean()),
        log_mean=residuals.mean,
        log_sigma=residuals.sigma,
    )
