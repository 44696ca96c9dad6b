import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.api.resources import Records
from perf_alerts_dagster.api.strategies.answers import live_path, projection_data, strategy_states
from perf_alerts_dagster.core.errors import RecordsUnavailable
from perf_alerts_dagster.judging.evaluation import WORTH, Evaluation, Outcome
from perf_alerts_dagster.judging.ports import StoredEvaluation
from perf_alerts_dagster.projections.ports import StoredProjection
from perf_alerts_dagster.records.model import StrategyRecord, TrackRecords
from perf_alerts_tests.builders import a_record, noise, reader
from perf_alerts_tests.executions.trading_desk import judge
from perf_alerts_tests.fakes import FakeRecordsSource
from perf_alerts_tests.incidents.incident_desk import fine, judged
from perf_alerts_tests.server.apps import Proxy, serving
from perf_alerts_tests.server.fakes import NOW

FRIDAY = date(2026, 1, 2)


def found(strategy: str, rule: str, outcome: Outcome, **more: float) -> StoredEvaluation:
    return StoredEvaluation(
        alert="daily_pnl_check",
        as_of=FRIDAY,
        judged_at=NOW,
        evaluation=Evaluation(strategy=strategy, rule=rule, outcome=outcome, **more),  # type: ignore[arg-type] # numbers only
    )


def record(name: str = "alpha") -> StrategyRecord:
    days = np.array(["2026-01-01", "2026-01-02", "2026-01-05", "2026-01-06"], "datetime64[D]")
    return StrategyRecord(
        strategy=name,
        dates=days,
        returns=np.array([0.5, 0.5, 0.1, -0.5]),
        live=np.array([False, False, True, True]),
    )


def projection() -> StoredProjection:
    return StoredProjection(
        strategy="alpha",
        kind="launch",
        issued_on=FRIDAY,
        horizon=2,
        seed=1,
        settings_version="v1",
        data_hash="d",
        run_id="r",
        facts={
            "method": "stationary bootstrap",
            "probabilities": [0.05, 0.95],
            "drawdown_probabilities": [0.05],
        },
        arrays={"bands": np.array([[-0.1, -0.2], [0.1, 0.2]]), "drawdowns": np.array([-0.3])},
    )


def test_a_strategy_is_one_state_with_its_worst_outcome_in_one_word() -> None:
    states = strategy_states(
        [
            found("alpha", "a", Outcome.OK),
            found("alpha", "b", Outcome.BREACH),
            found("beta", "a", Outcome.INSUFFICIENT_DATA),
        ]
    )

    assert [(one.strategy, one.outcome) for one in states] == [
        ("alpha", "breach"),
        ("beta", "insufficient_data"),
    ]
    assert [one.rule for one in states[0].evaluations] == ["a", "b"]


def test_a_strategy_that_was_not_judged_in_full_says_why() -> None:
    judgements = (
        judge(a_record(noise(40), strategy="new_ml")),
        judge(a_record(noise(420, seed=2), backtest=noise(600), strategy="old")),
        judged(fine(strategy="patchy", outcome=Outcome.PARTIAL, message="no row of 2026-01-02")),
    )
    states = strategy_states(
        [
            StoredEvaluation(alert=one.alert, as_of=FRIDAY, judged_at=NOW, evaluation=evaluation)
            for one in judgements
            for evaluation in one.evaluations
        ]
    )

    assert [(one.strategy, one.outcome, one.note) for one in states] == [
        ("new_ml", "insufficient_data", "40 of 756 rows; watched only for data and drawdown"),
        ("old", "breach", None),
        ("patchy", "partial", "no row of 2026-01-02"),
    ]


async def test_a_page_reads_no_evaluations_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    names = ["alpha", "beta", "gamma"]
    proxy.history.found = [found(name, "a", Outcome.OK) for name in names]
    asked: list[object] = []
    whole = proxy.history.current

    def current(**wanted: Any) -> list[StoredEvaluation]:
        asked.append(wanted.get("strategies"))
        return whole(**wanted)

    monkeypatch.setattr(proxy.history, "judged_names", lambda: names)
    monkeypatch.setattr(proxy.history, "current", current)
    async with serving(proxy) as client:
        first = (await client.get("/strategies", params={"limit": "2"})).json()
        cursor = first["next_cursor"]
        rest = (await client.get("/strategies", params={"limit": "2", "cursor": cursor})).json()
    assert [one["strategy"] for one in (*first["data"], *rest["data"])] == names
    assert rest["next_cursor"] is None
    assert asked == [["alpha", "beta"], ["gamma"]]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_number_that_json_does_not_know_is_null(value: float) -> None:
    (state,) = strategy_states([found("alpha", "profit_factor", Outcome.OK, value=value)])

    assert state.evaluations[0].value is None


def test_a_strategy_says_what_its_rules_are_worth() -> None:
    numbers = {name: place / 10 for place, name in enumerate(WORTH)}
    (state,) = strategy_states([found("alpha", "drawdown", Outcome.OK, notifies=False, **numbers)])
    answered = state.evaluations[0].model_dump()

    assert answered["notifies"] is False
    assert {name: answered[name] for name in WORTH} == numbers


def test_of_an_evaluation_of_the_version_before_that_is_not_known() -> None:
    (state,) = strategy_states([found("alpha", "drawdown", Outcome.OK)])
    answered = state.evaluations[0].model_dump()

    assert {answered[name] for name in (*WORTH, "notifies")} == {None}


def test_the_live_path_compounds_from_the_row_after_the_issue() -> None:
    path = live_path(record(), FRIDAY, date(2026, 1, 31), 252)

    assert [(one.date, one.row) for one in path] == [("2026-01-05", 1), ("2026-01-06", 2)]
    assert [one.cumulative_return for one in path] == pytest.approx([0.1, 1.1 * 0.5 - 1])


def test_the_live_path_ends_at_the_date_that_is_stood_on_and_at_the_horizon() -> None:
    assert len(live_path(record(), FRIDAY, date(2026, 1, 5), 252)) == 1
    assert len(live_path(record(), FRIDAY, date(2026, 1, 31), 1)) == 1
    assert live_path(record(), FRIDAY, FRIDAY, 252) == []


def test_a_projection_is_ready_to_draw() -> None:
    data = projection_data("alpha", date(2026, 1, 31), [projection()], record())
    (bands,) = data.projections

    assert bands.probabilities == [0.05, 0.95]
    assert bands.bands == [[-0.1, -0.2], [0.1, 0.2]]
    assert (bands.drawdown_probabilities, bands.drawdowns) == ([0.05], [-0.3])
    assert bands.facts == {"method": "stationary bootstrap"}
    assert len(bands.live) == 2


def test_a_strategy_that_left_the_record_has_bands_and_no_path() -> None:
    data = projection_data("alpha", date(2026, 1, 31), [projection()], None)

    assert data.projections[0].live == []


async def test_the_source_is_read_once_a_minute_with_its_groups() -> None:
    source = FakeRecordsSource(
        TrackRecords(source="test", strategies={"a": record("a"), "b": record("b")})
    )
    records = Records(reader(source))
    first = await records.record_of("ALL", NOW)
    await records.record_of("a", NOW + timedelta(seconds=60))
    await records.record_of("a", NOW + timedelta(seconds=61))

    assert first is not None
    assert source.loaded == [NOW.date(), NOW.date()]
    assert await records.record_of("nope", NOW) is None


async def test_a_source_that_cannot_be_read_is_said_and_asked_again() -> None:
    source = FakeRecordsSource(
        TrackRecords(source="test", strategies={"a": record("a")}),
        error=RecordsUnavailable("gone"),
    )
    records = Records(reader(source))
    with pytest.raises(RecordsUnavailable):
        await records.record_of("a", NOW)
    source.error = None

    assert await records.record_of("a", NOW) is not None
