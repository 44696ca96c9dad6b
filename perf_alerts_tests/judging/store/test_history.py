from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.ports import AlertStore, HistoryFilter, StoredEvaluation
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.storage.tables import evaluations
from perf_alerts_tests.judging.store.examples import BARE, FULL, NOON, TUESDAY, judgement

DAY = timedelta(days=1)
OK = Evaluation(strategy="s", rule="r", outcome=Outcome.OK, value=1.0)


def test_a_period_counts_what_was_judged_in_it(store: AlertStore) -> None:
    store.record(judgement(run_id="before", judged_at=NOON - DAY), watermark=None)
    store.record(judgement(run_id="first", judged_at=NOON), watermark=None)
    store.record(judgement(run_id="end", judged_at=NOON + DAY), watermark=None)
    found = store.period(NOON, NOON + DAY)

    assert found.counts == {
        (FULL.strategy, Outcome.BREACH): 1,
        ("s", Outcome.INSUFFICIENT_DATA): 1,
    }


def test_a_date_that_was_only_recorded_is_left_out(store: AlertStore) -> None:
    store.record(judgement(recorded_only=True), watermark=None)
    found = store.period(NOON - DAY, NOON + DAY)

    assert found.counts == {}


def test_an_empty_store_has_an_empty_history(store: AlertStore) -> None:

    assert store.period(NOON - DAY, NOON).counts == {}
    assert list(store.current()) == []


def test_the_newest_date_of_each_alert_counts_and_of_several_alerts_the_newer(
    store: AlertStore,
) -> None:
    old = replace(OK, value=1.0)
    new = replace(OK, value=2.0)
    store.record(judgement(as_of=TUESDAY, evaluations=(new,), run_id="a"), watermark=None)
    store.record(
        judgement(alert="evening_performance_check", evaluations=(old, FULL), run_id="b"),
        watermark=None,
    )
    found = store.current()

    assert [one.evaluation for one in found] == [new, FULL]
    assert [one.alert for one in found] == ["daily_pnl_check", "evening_performance_check"]


def test_of_one_date_the_judgement_made_last_counts(store: AlertStore) -> None:
    for run, value in (("a", 1.0), ("b", 2.0)):
        store.record(
            judgement(
                run_id=run,
                judged_at=NOON + timedelta(seconds=value),
                evaluations=(replace(OK, value=value),),
            ),
            watermark=None,
        )

    assert [one.evaluation.value for one in store.current()] == [2.0]


def test_projections_of_one_rule_are_apart(store: AlertStore) -> None:
    both = (replace(OK, projection="current"), replace(OK, projection="launch"))
    store.record(judgement(evaluations=both), watermark=None)

    assert [one.evaluation for one in store.current()] == list(both)


def test_one_strategy_or_one_rule_can_be_asked_for(store: AlertStore) -> None:
    store.record(judgement(), watermark=None)

    assert [one.evaluation for one in store.current(strategy="s")] == [BARE]
    assert [one.evaluation for one in store.current(rule="daily_exceedance")] == [FULL]
    assert list(store.current(strategy="s", rule="daily_exceedance")) == []


def test_a_page_of_strategies_is_asked_for_by_the_names_that_are_judged(store: AlertStore) -> None:
    assert list(store.judged_names()) == []
    store.record(judgement(), watermark=None)
    every = store.current()

    names = store.judged_names()
    assert list(names) == sorted({one.evaluation.strategy for one in every})
    assert list(store.current(strategies=names)) == list(every)
    assert [one.evaluation for one in store.current(strategies=["s", "nobody"])] == [BARE]
    assert list(store.current(strategies=[])) == []


def test_a_damaged_evaluation_is_an_error_and_no_guess(engine: Engine) -> None:
    SqlAlertStore(engine).record(judgement(), watermark=None)
    with engine.begin() as connection:
        connection.execute(update(evaluations).values(kind="nonsense"))

    with pytest.raises(StoreUnavailable, match="damaged"):
        SqlAlertStore(engine).current()


def of_days(store: AlertStore, *days: int) -> None:
    for number in days:
        found = (replace(OK, value=float(number)), replace(OK, rule="other"), FULL)
        made = judgement(as_of=TUESDAY + number * DAY, run_id=f"run-{number}", evaluations=found)
        store.record(made, watermark=None)


def values(found: Sequence[StoredEvaluation]) -> list[float | None]:
    return [each.evaluation.value for each in found if each.evaluation.rule == "r"]


def test_as_of_an_earlier_day_the_newest_is_that_of_then(store: AlertStore) -> None:
    of_days(store, 0, 2, 1)

    for day, expected in ((0, 0.0), (1, 1.0), (2, 2.0), (9, 2.0)):
        found = store.current(strategy="s", rule="r", as_of=TUESDAY + day * DAY)
        assert values(found) == [expected]
    assert list(store.current(strategy="s", as_of=TUESDAY - DAY)) == []


def test_the_history_of_a_strategy_is_the_newest_session_first(store: AlertStore) -> None:
    of_days(store, 0, 2, 1)
    page = store.history(HistoryFilter(strategy="s"), limit=100)

    assert values(page.evaluations) == [2.0, 1.0, 0.0]
    assert page.last is None
    assert {each.evaluation.strategy for each in page.evaluations} == {"s"}
    assert page.evaluations[0].as_of == TUESDAY + 2 * DAY
    assert store.history(HistoryFilter(strategy="nobody"), limit=1).evaluations == []


def test_the_history_has_pages_without_gaps_or_repeats(store: AlertStore) -> None:
    of_days(store, *range(5))
    whole = store.history(HistoryFilter(strategy="s"), limit=100).evaluations
    wanted, pages = HistoryFilter(strategy="s"), list[StoredEvaluation]()
    for _ in range(10):
        page = store.history(wanted, limit=3)
        pages += page.evaluations
        if page.last is None:
            break
        wanted = replace(wanted, before=page.last)

    assert pages == list(whole)


def test_the_history_of_a_rule_between_days(store: AlertStore) -> None:
    of_days(store, *range(5))
    wanted = HistoryFilter(strategy="s", rule="r", first=TUESDAY + DAY, last=TUESDAY + 3 * DAY)
    assert values(store.history(wanted, limit=9).evaluations) == [3.0, 2.0, 1.0]


def test_a_damaged_evaluation_of_the_history_is_said(engine: Engine) -> None:
    store = SqlAlertStore(engine)
    of_days(store, 0)
    with engine.begin() as connection:
        connection.execute(update(evaluations).values(outcome="great"))
    with pytest.raises(StoreUnavailable, match="damaged evaluation"):
        store.history(HistoryFilter(strategy="s"), limit=9)
