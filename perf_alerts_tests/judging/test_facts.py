"""What a person asks first of a breach: the day, the worst before, whose it is, who lost."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.records.model import FxRates, StrategyRecord
from perf_alerts_tests.executions.trading_desk import day
from perf_alerts_tests.judging.test_missing import (
    JUDGE,
    LAST,
    ROWS,
    crashed,
    judge,
    money,
    of,
    reading,
    seen,
)

FACTS = {"day", "owner", "in_group", "contributions"}


def facts(evaluation: Evaluation) -> dict[str, Any]:
    return {name: part for name, part in evaluation.parts.items() if name in FACTS}


def daily(*records: StrategyRecord, strategy: str, **changes: Any) -> dict[str, Any]:
    """The facts of the breached mandate on the daily loss."""
    return facts(of(judge(reading(*records, **changes)), strategy)["policy_daily_loss"])


def without_capital(record: StrategyRecord) -> StrategyRecord:
    return replace(record, pnl=None, capital=None, currency=None)


def test_a_breach_says_the_day_the_worst_before_the_owner_and_the_group() -> None:
    record = replace(crashed(money("a")), owner="vol-desk", group="vol")
    before = record.returns[:-1]
    worst = int(before.argmin())

    assert daily(record, money("b"), strategy="a") == {
        "day": {
            "session": str(LAST),
            "return": -0.1,
            "pnl": -10.0,
            "currency": "USD",
            "worst_before": {"return": before[worst], "session": str(record.dates[worst])},
            "years_before": 1.6,
        },
        "owner": "vol-desk",
        "in_group": "vol",
    }


def test_returns_alone_have_no_money() -> None:
    found = daily(without_capital(crashed(money("a"))), strategy="a")

    assert (found["day"]["pnl"], found["day"]["currency"]) == (None, None)
    assert set(found) == {"day"}


def test_the_worst_day_is_that_of_the_three_years_before() -> None:
    dates = np.arange("2018-01-01", str(LAST + (LAST - day(ROWS - 2))), dtype="datetime64[D]")
    dates = dates[np.is_busday(dates)]
    returns = np.resize([0.01, -0.01], len(dates))
    returns[[10, len(dates) - 300, len(dates) - 1]] = -0.3, -0.2, -0.1
    record = replace(
        without_capital(money("a")), dates=dates, returns=returns, live=np.ones(len(dates), bool)
    )
    found = daily(record, strategy="a")["day"]

    assert found["worst_before"] == {"return": -0.2, "session": str(dates[-300])}
    assert found["years_before"] == 3.0


def test_a_first_row_has_nothing_before_it() -> None:
    record = crashed(money("a"))
    alone = replace(
        without_capital(record),
        dates=record.dates[-1:],
        returns=record.returns[-1:],
        live=record.live[-1:],
    )
    found = daily(alone, money("b"), strategy="a")["day"]

    assert (found["worst_before"], found["years_before"]) == (None, 0.0)


def test_what_is_fine_or_only_shown_is_no_larger() -> None:
    judgement = judge(reading(crashed(money("a")), money("b"), money("late", without=(0, 1))))
    opening = {Outcome.BREACH, Outcome.NO_DATA, Outcome.ERROR}

    for each in judgement.evaluations:
        is_shown = each.severity is None or each.notified_severity.rank == 0  # type: ignore[union-attr]
        if each.outcome not in opening or is_shown:
            assert not facts(each), each
            assert "headline" not in each.parts or each.outcome in opening
        elif each.strategy != "ALL" or each.rule != "joint_exceedances":
            assert "day" in each.parts, each


def test_a_late_strategy_has_the_day_of_its_newest_row_and_one_that_is_gone_none() -> None:
    lost = seen("gone", 100.0)
    judgement = judge(
        reading(money("a"), money("b"), money("late", without=tuple(range(5))), vanished=lost)
    )
    late = of(judgement, "late")["no_data"]
    gone = of(judgement, "gone")["no_data"]

    assert facts(late)["day"]["session"] == str(day(ROWS - 6))
    assert late.parts["headline"].startswith("no rows since ")  # type: ignore[union-attr]
    assert not facts(gone)
    assert "headline" in gone.parts


def test_a_group_names_its_three_largest_losses_and_their_shares() -> None:
    losers = [
        replace(crashed(money(name, capital)), strategy=name)
        for name, capital in (("a", 400.0), ("b", 100.0), ("c", 300.0), ("d", 200.0))
    ]
    found = daily(*losers, flat(money("e", 500.0)), strategy="ALL")

    assert found["contributions"] == [
        {
            "strategy": name,
            "return": pytest.approx(-share / 150.0),
            "pnl": -10.0 * share,
            "share": share / 10.0,
        }
        for name, share in (("a", 4.0), ("c", 3.0), ("d", 2.0))
    ]
    assert found["day"]["pnl"] == pytest.approx(-100.0)


def flat(record: StrategyRecord, newest: float = 0.0) -> StrategyRecord:
    """With a newest row of so much, in its own money where it has some."""
    returns = record.returns.copy()
    returns[-1] = newest
    pnl = None if record.capital is None else returns * record.capital
    return replace(record, returns=returns, pnl=pnl)


def test_where_a_group_gained_there_are_no_shares_of_its_loss() -> None:
    record = reading(flat(money("a"), -0.1), flat(money("b", 900.0), 0.2))

    assert record.groups["ALL"].losses(LAST) == ([("a", -10.0, -0.01)], 170.0)
    # Its drawdown goes on all the same, and is notified.
    deep = [flat(sunk(money(name)), newest) for name, newest in (("a", -0.01), ("b", 0.05))]
    found = of(judge(reading(*deep)), "ALL")["drawdown"]
    assert found.outcome is Outcome.BREACH
    assert found.parts["contributions"] == [
        {"strategy": "a", "return": pytest.approx(-0.005), "pnl": pytest.approx(-1.0)}
    ]


def sunk(record: StrategyRecord) -> StrategyRecord:
    returns = record.returns.copy()
    returns[-40:-10] = -0.02
    assert record.capital is not None
    return replace(record, returns=returns, pnl=returns * record.capital)


def test_a_group_of_returns_alone_weighs_its_members_alike() -> None:
    found = daily(
        *(without_capital(flat(money(name), loss)) for name, loss in (("a", -0.3), ("b", -0.1))),
        strategy="ALL",
    )

    assert found["contributions"] == [
        {"strategy": "a", "return": -0.15, "pnl": None, "share": pytest.approx(0.75)},
        {"strategy": "b", "return": -0.05, "pnl": None, "share": pytest.approx(0.25)},
    ]


def test_each_currency_has_the_losses_of_its_own_members() -> None:
    euros = [replace(flat(money(name), -0.2), currency="EUR") for name in ("x", "y")]
    records = [flat(money(name), -0.1) for name in ("a", "b")]
    judgement = judge(reading(*records, *euros))

    for group, names in (("ALL:USD", {"a", "b"}), ("ALL:EUR", {"x", "y"})):
        found = facts(of(judgement, group)["policy_daily_loss"])
        assert {each["strategy"] for each in found["contributions"]} == names
        assert sum(each["share"] for each in found["contributions"]) == pytest.approx(1.0)


def test_losses_are_in_the_base_currency_where_there_are_rates() -> None:
    rates = FxRates(dates=money("a").dates, rates=np.full(ROWS, 0.5))
    euro = replace(flat(money("x"), -0.2), currency="EUR")
    found = daily(
        flat(money("a"), -0.05), euro, strategy="ALL", base_currency="USD", fx={"EUR": rates}
    )

    assert [(each["strategy"], each["pnl"]) for each in found["contributions"]] == [
        ("x", -10.0),
        ("a", -5.0),
    ]


def test_a_wipe_out_has_the_day_that_it_happened() -> None:
    record = money("a")
    returns = record.returns.copy()
    returns[-3] = -1.2
    found = of(judge(reading(replace(without_capital(record), returns=returns), money("b"))), "a")

    assert facts(found["wipe_out"])["day"]["session"] == str(day(ROWS - 3))
    assert facts(found["wipe_out"])["day"]["return"] == -1.2


def test_before_a_row_is_final_a_late_strategy_has_no_day() -> None:
    found = reading(money("a"), money("b", without=tuple(range(5))))
    judgement = judge(replace(found, last_final=None), provisional=True)

    assert not any(facts(each) for each in judgement.evaluations if not each.provisional)


def test_facts_change_no_key_and_the_same_data_gives_the_same_stored_parts(
    engine: Engine,
) -> None:
    found = reading(
        crashed(money("a")), crashed(money("b")), money("late", without=tuple(range(5)))
    )
    first, second = judge(found), judge(found)
    store = SqlAlertStore(engine)
    store.record(first, watermark=None)
    stored = store.latest(first.alert)

    assert stored is not None
    assert stored.repeats(second)
    for each in first.evaluations:
        bare = replace(each, parts={})
        assert each.dedup_key == bare.dedup_key
        assert json.loads(json.dumps(dict(each.parts), allow_nan=False)) == each.parts
    alert = BY_NAME["daily_pnl_check"]
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert JUDGE.judge(alert, found, LAST, run_id="run 2", now=now).repeats(first)
