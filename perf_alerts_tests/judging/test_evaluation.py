from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Kind, Outcome

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
HOSTILE = st.text(alphabet="ab|\\-\n é", max_size=6)


def event(session: date) -> Evaluation:
    return Evaluation(
        strategy="trend",
        rule="policy_daily_loss",
        outcome=Outcome.OK,
        kind=Kind.EVENT,
        session=session,
    )


def level(strategy: str, rule: str = "drawdown", **changes: object) -> Evaluation:
    return Evaluation(strategy=strategy, rule=rule, outcome=Outcome.OK, **changes)  # type: ignore[arg-type]


def test_each_row_is_an_event_of_its_own() -> None:
    assert event(MONDAY).dedup_key != event(TUESDAY).dedup_key
    assert event(MONDAY).dedup_key.endswith("|2026-01-05")


def test_the_same_row_seen_again_is_the_same_event() -> None:
    assert event(MONDAY).dedup_key == event(MONDAY).dedup_key


def test_a_level_is_one_incident_on_whatever_day_it_is_seen() -> None:
    first, second = level("trend", session=MONDAY), level("trend", session=TUESDAY)

    assert first.dedup_key == second.dedup_key == "trend|drawdown|-"


def test_projections_are_told_apart() -> None:
    keys = {level("trend", projection=kind).dedup_key for kind in (None, "launch", "current")}

    assert len(keys) == 3


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_two_names_make_the_same_key(a: str, b: str, c: str, d: str) -> None:
    same_key = level(a, b).dedup_key == level(c, d).dedup_key

    assert same_key is ((a, b) == (c, d))


@pytest.mark.parametrize("evidence", list(Evidence))
@pytest.mark.parametrize("gate", [True, False])
def test_what_is_told_under_each_preset(evidence: Evidence, gate: bool) -> None:
    one = Evaluation(
        strategy="trend",
        rule="drawdown",
        outcome=Outcome.BREACH,
        severity=Severity.WARNING,
        evidence=evidence,
    )
    weighty = evidence in (Evidence.STRONG, Evidence.UNGATED)

    assert one.is_notified(gate=gate) is (weighty or not gate)


def test_severities_rise_from_info_to_emergency_and_are_lower_case() -> None:
    ranked = sorted(Severity, key=lambda one: one.rank)

    assert [one.value for one in ranked] == ["info", "warning", "critical", "emergency"]
