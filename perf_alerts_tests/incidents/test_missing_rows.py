"""Missing rows and changed members resolve nothing; incidents of groups follow the currency."""

from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Resolution, Status
from perf_alerts_dagster.incidents.transitions import has_no_cause_left, is_recovered
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_tests.incidents.incident_desk import IncidentDesk, breach, fine

LACKS = {"missing": ["2026-01-05"]}
USD = {"group": "ALL", "currency": "USD", "membership": "m"}
EUR = USD | {"currency": "EUR"}


def opened(**changes: Any) -> IncidentDesk:
    desk = IncidentDesk()
    desk.judge(breach(**changes))
    desk.deliver()
    return desk


@pytest.mark.parametrize("outcome", [Outcome.PARTIAL, Outcome.NO_DATA, Outcome.OK])
def test_rows_that_are_missing_resolve_nothing(outcome: Outcome) -> None:
    desk = opened()
    desk.judge_next_day(fine(outcome=outcome, parts=LACKS))
    desk.judge(fine(outcome=outcome, parts=LACKS), restated=True)

    assert desk.only().status is Status.OPEN
    desk.judge_next_day(fine())
    assert desk.only().status is Status.RESOLVED


@pytest.mark.parametrize(
    "gentle",
    [
        breach(p_year=0.5, evidence=Evidence.WEAK, parts=LACKS),
        breach(parts=LACKS | {"above": True}, severity=Severity.INFO),
        fine(outcome=Outcome.PARTIAL, parts=LACKS | {"above": True}),
    ],
)
def test_no_way_to_recover_counts_where_rows_are_missing(gentle: Evaluation) -> None:
    assert not is_recovered(gentle, budget=0.05)
    assert not has_no_cause_left(gentle, budget=0.05)


def test_a_late_row_within_the_allowed_lag_is_no_incident_of_the_source() -> None:
    desk = IncidentDesk()
    desk.judge(fine(rule="no_data", outcome=Outcome.NO_DATA, value=1.0, limit=2.0, parts=LACKS))

    assert desk.all() == []


def test_a_strategy_that_vanishes_keeps_the_error_of_its_record() -> None:
    desk = opened(
        rule="record_error", outcome=Outcome.ERROR, severity=Severity.CRITICAL, value=None
    )
    gone = fine(rule="no_data", outcome=Outcome.NO_DATA, severity=Severity.CRITICAL, value=None)
    desk.judge_next_day(gone)
    assert [one.rule for one in desk.all() if not one.is_resolved].count("record_error") == 1

    desk.judge_next_day(fine(rule="no_data"))
    assert {one.status for one in desk.all()} == {Status.RESOLVED}


def test_another_membership_resolves_nothing_and_says_so_once() -> None:
    desk = opened(strategy="ALL", parts=USD)
    for _ in range(2):
        desk.judge_next_day(fine(strategy="ALL", parts=USD | {"membership": "other"}))

    assert desk.only().status is Status.OPEN
    kept = [one.detail for one in desk.entries() if one.what == "kept"]
    assert kept == [{"why": "its members or first live rows changed: a person resolves it"}]
    # It breaches again: from then on the new members count.
    desk.judge_next_day(breach(strategy="ALL", parts=USD | {"membership": "other"}))
    desk.judge_next_day(fine(strategy="ALL", parts=USD | {"membership": "other"}))
    assert desk.only().status is Status.RESOLVED


@pytest.mark.parametrize(
    ("now", "status"),
    [("2025-03-02", Status.OPEN), ("2025-03-01", Status.RESOLVED), ("2024-12-01", Status.RESOLVED)],
)
def test_a_record_that_lost_its_first_live_rows_resolves_nothing(now: str, status: Status) -> None:
    desk = opened(parts={"live_since": "2025-03-01"})
    desk.judge_next_day(fine(parts={"live_since": now}))

    assert desk.only().status is status


@pytest.mark.parametrize(("before", "after"), [(USD, USD), ({}, USD), (USD, {}), ({}, {})], ids=str)
def test_the_same_or_an_unknown_membership_resolves_as_ever(
    before: dict[str, str], after: dict[str, str]
) -> None:
    desk = opened(strategy="ALL", parts=before)
    desk.judge_next_day(fine(strategy="ALL", parts=after))

    assert desk.only().status is Status.RESOLVED


def test_an_incident_of_all_goes_on_under_the_name_of_its_currency_and_back() -> None:
    desk = opened(strategy="ALL", parts=USD)
    two = (fine(strategy="ALL:EUR", parts=EUR), breach(strategy="ALL:USD", parts=USD))
    desk.judge_next_day(*two)

    incident = desk.only()
    assert (incident.strategy, incident.dedup_key) == ("ALL:USD", "ALL:USD|max_drawdown|-")
    assert [one.detail for one in desk.entries() if one.what == "renamed"] == [
        {"why": "continued as ALL:USD"}
    ]
    assert desk.waiting() == []

    desk.judge_next_day(breach(strategy="ALL", parts=USD))
    assert desk.only().strategy == "ALL"
    desk.judge_next_day(fine(strategy="ALL", parts=USD))
    assert desk.only().status is Status.RESOLVED


@pytest.mark.parametrize(
    ("strategy", "rule", "parts", "judged"),
    [
        # Another currency; two that are possible; no group at all; the joint rule has one name.
        ("ALL", "max_drawdown", EUR, [("ALL:USD", USD)]),
        ("ALL", "max_drawdown", {}, [("ALL:USD", USD), ("ALL:EUR", EUR)]),
        ("trend", "max_drawdown", {}, [("ALL:USD", USD)]),
        ("ALL", "joint_exceedances", {}, [("ALL:USD", USD)]),
        ("ALL", "max_drawdown", USD, [("ALL", USD)]),
    ],
)
def test_what_has_no_other_name_keeps_its_own(
    strategy: str, rule: str, parts: dict[str, Any], judged: list[tuple[str, dict[str, Any]]]
) -> None:
    desk = opened(strategy=strategy, rule=rule, parts=parts)
    desk.judge_next_day(*(fine(strategy=name, rule="x", parts=given) for name, given in judged))

    assert desk.only().strategy == strategy


def test_an_incident_that_knows_no_currency_goes_on_under_the_only_name() -> None:
    desk = opened(strategy="group:fx")
    other = USD | {"group": "group:fx"}
    desk.judge_next_day(breach(strategy="group:fx:USD", parts=other))

    assert desk.only().strategy == "group:fx:USD"
    assert desk.only().resolved is None


def test_a_name_that_has_an_incident_of_its_own_takes_no_other() -> None:
    desk = opened(strategy="ALL", parts=USD)
    desk.judge(breach(strategy="ALL:USD", rule="x", parts={}))
    desk.judge(breach(strategy="ALL:USD", parts={}))
    desk.judge_next_day(breach(strategy="ALL:USD", parts=USD))

    assert sorted(one.strategy for one in desk.all()) == ["ALL", "ALL:USD", "ALL:USD"]


def test_a_person_resolves_what_its_members_left() -> None:
    desk = opened(strategy="ALL", parts=USD)
    desk.judge_next_day(fine(strategy="ALL", parts=USD | {"membership": "other"}))
    done = desk.lifecycle.resolve(desk.only().id, by="ann", now=desk.now, outcome=Resolution.KNOWN)

    assert done.status is Status.RESOLVED
