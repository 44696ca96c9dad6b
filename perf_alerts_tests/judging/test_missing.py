"""Missing rows leave no `ok`, name what is missing, and hide no breach."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.core.alerts import BY_NAME
from perf_alerts_dagster.core.wording import day_words
from perf_alerts_dagster.judging.budget import Budgets
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement, Outcome, notified
from perf_alerts_dagster.judging.judge import Judge
from perf_alerts_dagster.judging.limits import limit_book
from perf_alerts_dagster.judging.summary import Summary, summaries
from perf_alerts_dagster.records.desk import Seen
from perf_alerts_dagster.records.model import RecordFault, StrategyRecord, TrackRecords
from perf_alerts_dagster.records.reading import Market, Reading, read
from perf_alerts_dagster.records.sessions import open_calendar
from perf_alerts_tests.builders import MARKET
from perf_alerts_tests.executions.trading_desk import a_strategy, after_close, day
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.incidents.incident_desk import IncidentDesk

ROWS = 400
LAST = day(ROWS - 1)
said = partial(day_words, beside=LAST)
JUDGE = Judge(
    book=limit_book({}, {"default": {"daily_loss": 0.05, "weekly_loss": 0.06}}),
    max_lag_sessions=2,
    budgets=Budgets(),
    settings_version="test",
)


def money(name: str, capital: float = 100.0, *, without: tuple[int, ...] = ()) -> StrategyRecord:
    """400 rows, of which those counted from the end in `without` are missing."""
    plain = a_strategy(name, ROWS, seed=sum(map(ord, name)))
    kept = np.setdiff1d(np.arange(ROWS), [ROWS - 1 - place for place in without])
    amounts = np.full(ROWS, capital)
    whole = replace(plain, pnl=plain.returns * capital, capital=amounts, currency="USD")
    assert whole.pnl is not None
    return replace(
        whole,
        dates=whole.dates[kept],
        returns=whole.returns[kept],
        live=whole.live[kept],
        pnl=whole.pnl[kept],
        capital=amounts[kept],
    )


def crashed(record: StrategyRecord) -> StrategyRecord:
    """Its newest row loses 10 %."""
    assert record.capital is not None
    returns = record.returns.copy()
    returns[-1] = -0.1
    return replace(record, returns=returns, pnl=returns * record.capital)


def reading(
    *records: StrategyRecord, vanished: Mapping[str, Seen] | None = None, **changes: object
) -> Reading:
    given = TrackRecords(
        source="test",
        strategies={one.strategy: one for one in records},
        **changes,  # type: ignore[arg-type] # as named
    )
    found = read(
        FakeRecordsSource(given),
        Market(calendar=open_calendar("weekdays"), own_days=False),
        as_of=LAST,
        now=after_close(ROWS - 1),
        timezone=ZoneInfo("UTC"),
    )
    return found.grouped(vanished)


def judge(found: Reading, *, as_of: date = LAST, provisional: bool = False) -> Judgement:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    alert = BY_NAME["daily_pnl_check"]
    return JUDGE.judge(alert, found, as_of, run_id="run", now=now, provisional=provisional)


def of(judgement: Judgement, strategy: str) -> dict[str, Evaluation]:
    return {
        one.rule: one
        for one in judgement.evaluations
        if one.strategy == strategy and one.rule != "joint_exceedances"
    }


def seen(name: str, capital: float) -> dict[str, Seen]:
    last = day(ROWS - 2)
    made = Seen(rows=9, first=day(0), last=last, capital=capital, group="g", currency="USD")
    return {name: made}


def test_without_the_row_of_its_newest_session_nothing_about_a_strategy_is_ok() -> None:
    found = of(judge(reading(money("a"), money("late", without=(0,)))), "late")

    assert Outcome.OK not in {one.outcome for one in found.values()}
    daily = found["policy_daily_loss"]
    assert (daily.outcome, daily.severity) == (Outcome.NO_DATA, None)
    assert daily.message.endswith(f"; no row of {said(LAST)}")
    assert daily.parts["missing"] == [str(LAST)]


def test_an_earlier_missing_row_is_partial_but_for_rules_about_the_newest() -> None:
    found = of(judge(reading(money("a"), money("gap", without=(3, 19, 20)))), "gap")

    assert found["wipe_out"].outcome is Outcome.PARTIAL
    assert found["wipe_out"].message.endswith(
        f"; no row of {said(day(ROWS - 20))}, {said(day(ROWS - 4))}"
    )
    assert {
        rule for rule, one in found.items() if one.outcome is Outcome.OK
    } == {"policy_daily_loss", "no_data", "stale_data"}  # fmt: skip


def test_a_breach_stays_one_and_says_what_is_missing() -> None:
    found = of(judge(reading(money("a"), crashed(money("gap", without=(3,))))), "gap")

    weekly = found["policy_weekly_loss"]
    assert (weekly.outcome, weekly.is_notified()) == (Outcome.BREACH, True)
    assert weekly.message.endswith(f"; no row of {said(day(ROWS - 4))}")


def test_a_row_that_is_not_due_yet_is_not_missing() -> None:
    found = reading(money("a"), money("b", without=(0,)))
    open_session = replace(found, last_final=day(ROWS - 2))

    evaluations = of(judge(open_session, provisional=True), "b").values()
    assert not any("missing" in one.parts for one in evaluations)
    assert judge(replace(found, last_final=None), provisional=True).evaluations


def test_a_wiped_out_strategy_misses_nothing() -> None:
    ended = money("ended", without=tuple(range(5)))
    returns = ended.returns.copy()
    returns[-1] = -1.0
    found = judge(reading(money("a"), money("b"), replace(ended, returns=returns)))

    assert not any("missing" in one.parts for one in found.evaluations)


@pytest.mark.parametrize(
    ("others", "vanished", "outcome", "text"),
    [
        ((), seen("gone", 4.0), Outcome.PARTIAL, "2 of 3, 98 % of capital; missing: gone"),
        ((), seen("gone", 200.0), Outcome.PARTIAL, "2 of 3, 50 % of capital; missing: gone"),
        ((), seen("gone", 201.0), Outcome.NO_DATA, "2 of 3, 49 % of capital; missing: gone"),
        (
            (money("late", 300.0, without=(0, 1)),),
            {},
            Outcome.NO_DATA,
            f"2 of 3, 40 % of capital; missing: late since {said(day(ROWS - 2))}",
        ),
        (
            (money("gap", without=(2,)),),
            {},
            Outcome.PARTIAL,
            f"no row of gap on {said(day(ROWS - 3))}",
        ),
    ],
)
def test_a_group_is_judged_on_the_members_that_are_there(
    others: tuple[StrategyRecord, ...], vanished: dict[str, Seen], outcome: Outcome, text: str
) -> None:
    found = of(judge(reading(money("a"), money("b"), *others, vanished=vanished)), "ALL")

    assert found["drawdown"].outcome is outcome
    assert found["drawdown"].message.endswith(f"; {text}")


def test_the_parts_of_a_group_state_its_members() -> None:
    found = of(judge(reading(money("a"), money("b"), vanished=seen("gone", 50.0))), "ALL")
    whole = of(judge(reading(money("a"), money("b"))), "ALL")

    parts = found["drawdown"].parts
    named = {name: parts[name] for name in ("members", "present", "capital_share", "missing")}
    assert named == {"members": 3, "present": 2, "capital_share": 0.8, "missing": ["gone"]}
    assert (parts["group"], parts["currency"]) == ("ALL", "USD")
    assert parts["membership"] != whole["drawdown"].parts["membership"]
    assert whole["drawdown"].outcome is Outcome.OK


def test_rules_over_the_whole_life_say_since_when_it_is_known() -> None:
    found = judge(reading(money("a"), money("b")))

    first = str(money("a").dates[money("a").live][0])
    assert {
        (one.strategy, one.rule) for one in found.evaluations if "live_since" in one.parts
    } == {(name, rule) for name in ("a", "b", "ALL")
          for rule in ("drawdown", "interval_breach", "mean_shortfall_126", "mean_shortfall_252",
                       "decay_cusum", "gap_since_launch", "volatility_shift")}  # fmt: skip
    assert of(found, "ALL")["drawdown"].parts["live_since"] == first


def test_while_a_members_session_is_open_its_group_is_provisional() -> None:
    west = money("west", without=(0,))
    desk = {"east": money("east"), "west": replace(west, calendar="XNYS")}
    source = FakeRecordsSource(TrackRecords(source="test", strategies=desk))
    zone, now = ZoneInfo("UTC"), after_close(ROWS - 1)
    found = read(source, MARKET, as_of=None, now=now, timezone=zone)
    assert (found.as_of, found.last_final) == (LAST, LAST)
    drawdown = of(judge(found), "ALL")["drawdown"]

    assert (drawdown.outcome, drawdown.provisional) == (Outcome.OK, True)
    assert drawdown.message.endswith("; not closed yet: west")
    assert not of(judge(found), "east")["drawdown"].provisional
    assert not of(judge(found, as_of=day(ROWS - 2)), "ALL")["drawdown"].provisional


def test_with_a_faulty_member_the_number_of_members_counts() -> None:
    bad = (RecordFault(where="daily.csv", rule="is bad"),)
    found = judge(reading(money("a"), faults={"x": bad}, faulty={"x": ("g", "USD")}))

    drawdown = of(found, "ALL")["drawdown"]
    assert drawdown.outcome is Outcome.PARTIAL
    assert drawdown.message.endswith("; 1 of 2; missing: x")


def test_joint_exceedances_are_judged_on_the_strategies_that_are_there() -> None:
    def joint(*records: StrategyRecord, vanished: int = 0) -> Evaluation:
        lost = {f"gone{place}": seen("x", 1.0)["x"] for place in range(vanished)}
        found = judge(reading(*records, vanished=lost)).evaluations
        return next(one for one in found if one.rule == "joint_exceedances")

    three = [money(name) for name in "abc"]
    assert joint(*three).outcome is Outcome.OK
    assert joint(*three, money("gap", without=(2,))).outcome is Outcome.PARTIAL
    late = joint(*three, money("late", without=(0,)))
    assert (late.outcome, late.parts["members"]) == (Outcome.PARTIAL, [])
    assert late.message.endswith(f"; 3 of 4; missing: late since {said(LAST)}")
    assert joint(*three, vanished=4).outcome is Outcome.NO_DATA
    # One that has long been without rows is no longer counted on.
    assert joint(*three, money("left", without=tuple(range(21)))).outcome is Outcome.OK


def test_four_of_five_crash_while_the_fifth_is_late_and_the_desk_breaches() -> None:
    found = judge(reading(*(crashed(money(name)) for name in "abcd"), money("e", without=(0,))))
    told = {(one.strategy, one.rule): one for one in notified(found, gate=True)}

    daily = told["ALL", "policy_daily_loss"]
    assert daily.message.endswith(f"; 4 of 5, 80 % of capital; missing: e since {said(LAST)}")
    (joint,) = [one for one in found.evaluations if one.rule == "joint_exceedances"]
    assert (joint.outcome, joint.parts["members"]) == (Outcome.BREACH, ["a", "b", "c", "d"])
    # It has no share of the budget.
    assert not joint.is_notified()
    desk = IncidentDesk()
    desk.judge(*found.evaluations, as_of=LAST)
    assert any("opened critical ALL/policy_daily_loss" in line for line in desk.deliver())


def summed(found: Reading) -> dict[str, Summary]:
    """The summaries over the rules that do not breach."""
    made = judge(found)
    calm = tuple(one for one in made.evaluations if one.outcome is not Outcome.BREACH)
    return summaries(replace(made, evaluations=calm))


def test_a_missing_member_is_said_once_with_what_it_means_for_its_groups() -> None:
    both = [replace(money(name), group="carry") for name in "ab"]
    late = replace(money("late", 150.0, without=tuple(range(5))), group="carry")
    found = summed(reading(*both, late))

    so = "so {} and group:carry (2 of 3, 57 % of capital) are judged without it"
    assert found["late"].so == so.format("ALL (2 of 3, 57 % of capital)")
    assert found["late"].note.startswith(f"no rows since {said(day(ROWS - 6))}: 5 sessions late")
    assert found["late"].note.endswith(f"; {found['late'].so}")
    assert (found["ALL"].outcome, found["ALL"].is_explained) == (Outcome.PARTIAL, True)
    assert found["ALL"].note == (
        f"2 of 3, 57 % of capital; missing: late since {said(day(ROWS - 5))}"
    )


def test_a_group_that_lacks_half_of_its_capital_is_said_not_to_be_judged() -> None:
    late = replace(money("late", 300.0, without=tuple(range(5))), group="carry")
    found = summed(reading(money("a"), money("b", 400.0), replace(late, group="x")))

    assert found["late"].so == "so ALL (2 of 3, 62 % of capital) is judged without it"
    most = summed(reading(money("a"), money("b"), late))
    assert most["late"].so == "so ALL (2 of 3, 40 % of capital) is not judged"
    assert (most["ALL"].outcome, most["ALL"].is_explained) == (Outcome.NO_DATA, True)


def test_a_gap_of_a_judged_member_stays_a_note_of_the_group() -> None:
    found = summed(reading(money("a"), money("gap", without=(2,))))

    assert (found["ALL"].outcome, found["ALL"].is_explained) == (Outcome.PARTIAL, False)
    assert found["ALL"].note == f"no row of gap on {said(day(ROWS - 3))}"
