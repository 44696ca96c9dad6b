"""What the page of a strategy says in words and numbers."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.api.strategies.report import (
    bar_words,
    bars_of,
    best_words,
    episodes_of,
    found_of,
    in_percent,
    rarest,
    sentence,
    years_of,
)
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome
from perf_alerts_dagster.judging.ports import StoredEvaluation
from perf_alerts_dagster.judging.standings.model import STRIP, Cell, RuleStanding, Standing
from perf_alerts_tests.builders import a_record, noise, weekdays

DAY = date(2026, 11, 27)
AT = datetime(2026, 11, 27, 17, tzinfo=UTC)
DAYS = tuple(weekdays(3).astype(object).tolist())


def stored(rule: str, outcome: Outcome = Outcome.OK, **values: Any) -> StoredEvaluation:
    one = Evaluation(strategy="trend", rule=rule, outcome=outcome, **values)
    return StoredEvaluation(alert="daily_pnl_check", as_of=DAY, judged_at=AT, evaluation=one)


def weak(rule: str, p_year: float | None, **values: Any) -> StoredEvaluation:
    return stored(
        rule,
        Outcome.BREACH,
        severity=Severity.WARNING,
        evidence=Evidence.WEAK,
        p_year=p_year,
        notifies=False,
        **values,
    )


def loud(rule: str, severity: Severity = Severity.CRITICAL, **values: Any) -> StoredEvaluation:
    return stored(rule, Outcome.BREACH, severity=severity, notifies=True, **values)


def standing(**strips: str) -> Standing:
    return Standing(
        strategy="trend",
        session=DAYS[-1],
        judged_at=AT,
        sessions=DAYS,
        rules={
            rule: RuleStanding(cell=Cell.OK, alert="daily_pnl_check", as_of=DAY, strip=strip)
            for rule, strip in strips.items()
        },
    )


def said(*found: StoredEvaluation, as_of: date | None = DAY, note: str = "", **strips: str) -> str:
    known = standing(**strips) if strips else None
    return " ".join(filter(None, sentence("trend", found_of(found, known, None), as_of, note)))


MORE = "100 % or more"
FINE = stored("drawdown", message="2 % below its high")
LACKING = stored("win_rate", Outcome.INSUFFICIENT_DATA, message="3 of 20 trades")
BLIND = stored("no_data", Outcome.NO_DATA, message="newest row is of Mon")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([FINE], "trend is within its limits, judged for Fri 27 Nov."),
        (
            [FINE, weak("rolling_sharpe", 0.13), weak("decay_cusum", 0.4)],
            "trend: nothing is notified, judged for Fri 27 Nov. Weak signs: rolling Sharpe ratio "
            "(about 1 in 7.7 healthy years looks so), decay since live began.",
        ),
        (
            [FINE, weak("overfitting", None)],
            "trend: nothing is notified, judged for Fri 27 Nov. Weak sign: overfitting.",
        ),
        (
            [FINE, LACKING],
            "trend is within its limits, judged for Fri 27 Nov; 1 of 2 rules not judged in full.",
        ),
        (
            [loud("drawdown", message="21.7 % below its high."), loud("wipe_out"), FINE],
            "trend breaches drawdown: 21.7 % below its high; judged for Fri 27 Nov. Also wipe-out.",
        ),
        ([LACKING], "trend has too little data to be judged; judged for Fri 27 Nov."),
        (
            [LACKING, LACKING, FINE],
            "trend has too little data to be judged; judged for Fri 27 Nov; "
            "2 of 3 rules not judged in full.",
        ),
        (
            [BLIND, FINE],
            "trend cannot be judged for Fri 27 Nov: newest row is of Mon.",
        ),
        ([], "trend is not judged yet."),
    ],
)
def test_a_sentence_says_how_it_stands(found: list[StoredEvaluation], text: str) -> None:
    assert said(*found) == text.replace("1 in 7.7", "1 in 8")


def test_a_sentence_says_since_when_and_why_not() -> None:
    breach = loud("drawdown", message="deep")
    assert "breaches drawdown since 3 Jan: deep" in said(breach, drawdown=".22").replace("Tue ", "")
    assert "breaches drawdown since 2 Jan: deep" in said(breach, drawdown="222").replace("Mon ", "")
    assert "breaches drawdown since before" in said(breach, drawdown="2" * STRIP)
    # On the first day there is no day to compare with.
    assert "breaches drawdown: deep" in said(breach, drawdown="2")
    assert said(BLIND, note="5 sessions late").startswith(
        "trend cannot be judged for Fri 27 Nov: 5 sessions late"
    )
    assert said(as_of=None, note="no backtest") == "trend is not judged yet: no backtest."
    assert "judged: 9 rows; judged for" in said(LACKING, note="9 rows")
    assert said(BLIND, breach).startswith("trend breaches drawdown")


def test_rules_are_listed_the_worst_first_then_as_in_the_catalogue() -> None:
    rows = found_of(
        [stored("unheard_of"), FINE, weak("rolling_sharpe", 0.2), loud("wipe_out")], None, None
    )

    assert [each.evaluation.rule for each in rows] == [
        "wipe_out",
        "rolling_sharpe",
        "drawdown",
        "unheard_of",
    ]
    assert rows[-1].title == "unheard_of"


def test_a_rule_has_its_unit_and_says_what_it_is_worth() -> None:
    (one,) = found_of(
        [
            stored(
                "drawdown",
                value=-0.217,
                limit=-0.189,
                p_year=0.002,
                false_alarm_rate=0.01,
                power_126=0.149,
                power_252=0.415,
                share_of_limit=0.831,
            )
        ],
        standing(drawdown="..2"),
        None,
    )

    assert (one.value, one.limit) == ("-21.7 %", "-18.9 %")
    assert (one.p_year, one.false_alarms, one.of_best) == ("0.20 %", "1.0 %", "83.1 %")
    assert one.power == "14.9 % / 41.5 %"
    assert one.since.endswith("4 Jan")
    (bare,) = found_of([stored("interval_breach", projection="launch:2026-01-05")], None, None)
    assert bare.title == "interval breach (projection of launch)"
    assert {bare.value, bare.limit, bare.p_year, bare.power, bare.since} == {""}


def test_an_earlier_day_ends_the_strips() -> None:
    (one,) = found_of([FINE], standing(drawdown=".w2"), DAYS[1])

    assert [(each.cell, each.first, each.size) for each in one.bars] == [
        (Cell.OK, 0, 1),
        (Cell.WEAK, 1, 1),
    ]
    assert one.since.endswith("3 Jan")
    (unjudged,) = found_of([FINE], standing(drawdown=".  "), None)
    assert unjudged.since == ""


def test_a_strip_is_stretches_and_words() -> None:
    bars = bars_of("..  ww2")

    assert [(each.cell, each.first, each.size) for each in bars] == [
        (Cell.OK, 0, 2),
        (Cell.WEAK, 4, 2),
        (Cell.CRITICAL, 6, 1),
    ]
    assert bar_words(bars) == "5 sessions: ok 2, weak 2, critical 1"
    assert bar_words(bars_of("?")) == "1 session: insufficient data 1"
    assert bar_words(()) == "not judged yet"


def test_the_rarest_of_nothing_is_none() -> None:
    assert rarest(found_of([FINE], None, None)) is None
    rows = found_of([weak("drawdown", 0.3), weak("rolling_sharpe", 0.1)], None, None)
    found = rarest(rows)
    assert found is not None
    assert found.evaluation.rule == "rolling_sharpe"


def test_a_weak_day_is_said_to_be_one() -> None:
    assert "hold such a day" in said(weak("daily_exceedance", 0.001, kind=Kind.EVENT))


def test_drawdowns_run_from_a_high_to_the_next() -> None:
    returns = np.array([-0.1, 0.2, 0.05, -0.2, -0.1, 0.6, -0.05])
    days = weekdays(7)
    found = episodes_of(days, returns)
    plain = days.astype(object).tolist()

    assert [round(each.depth, 4) for each in found] == [-0.28, -0.1, -0.05]
    assert (found[0].high, found[0].lowest, found[0].over) == (plain[2], plain[4], plain[5])
    assert (found[1].high, found[1].over, found[1].sessions) == (None, plain[1], 1)
    assert found[2].over is None
    assert episodes_of(days[:0], returns[:0]) == []
    assert len(episodes_of(weekdays(400), noise(400, seed=1, sd=0.02), 2)) == 2


def test_months_are_of_live_and_of_the_backtest_apart() -> None:
    record = a_record([0.1, 0.1], backtest=np.full(300, 0.001))
    live, *before = years_of(record)

    assert (live.year, live.is_live) == (2024, True)
    assert live.whole == pytest.approx(0.21)
    assert [each for each in live.months if each is not None] == pytest.approx([0.21])
    assert [(each.year, each.is_live) for each in before] == [(2024, False), (2023, False)]
    rows = record.dates.astype("datetime64[M]") == np.datetime64("2023-05")
    may = before[1].months[4]
    assert may == pytest.approx(1.001 ** int(rows.sum()) - 1.0)
    (first,) = years_of(record.rows(0, 1))
    assert not first.is_live


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (0.1234, "12.3"),
        (-0.1234, "\u221212.3"),
        (-0.0001, "0.0"),
        (0.0, "0.0"),
    ],
)
def test_returns_have_fixed_decimals_and_a_real_minus(value: float | None, text: str) -> None:
    assert in_percent(value) == text


def test_a_signed_return_says_that_it_is_a_gain() -> None:
    assert in_percent(0.0024, 2, signed=True) == "+0.24"
    assert in_percent(0.0, 2, signed=True) == "0.00"


@pytest.mark.parametrize(
    ("share", "words"),
    [(None, ""), (0.831, "83.1 %"), (0.9999, "100 % or more"), (1.022, "100 % or more")],
)
def test_no_rule_is_said_to_be_faster_than_the_best(share: float | None, words: str) -> None:
    assert best_words(share) == words


def test_lateness_is_no_value_of_a_rule() -> None:
    late = replace(BLIND.evaluation, value=5.0, limit=2.0)
    (row,) = found_of([replace(BLIND, evaluation=late)], None, None)
    assert (row.value, row.limit) == ("", "")


def test_a_breach_does_not_hide_the_rules_that_could_not_be_judged() -> None:
    assert "; 1 of 2 rules not judged in full." in said(loud("drawdown", message="deep"), BLIND)
