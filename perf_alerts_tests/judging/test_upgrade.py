"""A new method notifies nobody of what it finds by the change alone, and silences nothing."""

import json
import math
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import evaluation_firing
from perf_alerts_dagster.incidents.transitions import (
    Action,
    acknowledge,
    is_recovered,
    open_incident,
    register_breach,
)
from perf_alerts_dagster.judging.evaluation import (
    Evaluation,
    Evidence,
    Judgement,
    Kind,
    Outcome,
    notified,
)
from perf_alerts_dagster.judging.upgrade import hold_back

OLD, NEW, RESET = None, "5-0123abcd", "5-ffff0000"
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


def breach(rule: str = "mean_shortfall_252", **changes: Any) -> Evaluation:
    made: dict[str, Any] = {
        "strategy": "trend",
        "rule": rule,
        "outcome": Outcome.BREACH,
        "severity": WARNING,
        "evidence": Evidence.STRONG,
        "value": 2.0,
        "limit": 1.5,
        "p_year": 0.02,
    }
    return Evaluation(**(made | changes))


def fine(rule: str = "mean_shortfall_252", **changes: Any) -> Evaluation:
    return breach(
        rule,
        **({"outcome": Outcome.OK, "severity": None, "evidence": None, "value": 1.0} | changes),
    )


# The strategy was judged by some other rule.
ALONE = fine("late_rows")


def judgement(*evaluations: Evaluation, method: str | None = OLD) -> Judgement:
    return Judgement(
        alert="daily_pnl_check",
        as_of=date(2026, 1, 5),
        run_id="run",
        judged_at=datetime(2026, 1, 5, 18, tzinfo=UTC),
        settings_version="test",
        data_hash="",
        seed=1,
        evaluations=evaluations,
        method_version=method,
    )


def told(found: list[Evaluation], *, gate: bool = True) -> list[tuple[str, str]]:
    return [
        (one.rule, str(one.notified_severity)) for one in notified(judgement(*found), gate=gate)
    ]


def days(first: Judgement, *later: list[Evaluation], method: str = NEW) -> list[Evaluation]:
    """The last of successive judgements under the new method."""
    before, found = first, list(first.evaluations)
    for evaluations in later:
        found = hold_back(evaluations, before, method)
        before = judgement(*found, method=method)
    return found


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("severity", list(Severity)[1:])
def test_what_a_new_rule_finds_at_once_is_shown_and_not_notified(
    severity: Severity, gate: bool
) -> None:
    (found,) = days(judgement(ALONE), [breach(severity=severity)])

    assert (found.outcome, found.severity, found.evidence) == (
        Outcome.BREACH, severity, Evidence.STRONG,
    )  # fmt: skip
    assert not found.is_notified(gate=gate)
    assert told([found], gate=gate) == []
    assert "found by the new method of an upgrade" in found.message


@pytest.mark.parametrize(
    ("before", "now"),
    [(None, None), (NEW, NEW), (RESET, NEW)],
    ids=["no method", "the same", "other settings"],
)
def test_without_a_new_method_nothing_is_held(before: str | None, now: str | None) -> None:
    found = hold_back([breach()], judgement(ALONE, method=before), now)

    assert told(found) == [("mean_shortfall_252", "warning")]


def test_a_strategy_that_was_not_judged_before_is_no_upgrade() -> None:
    before = judgement(fine("late_rows", strategy="other"))

    assert told(hold_back([breach()], before, NEW)) == [("mean_shortfall_252", "warning")]


@pytest.mark.parametrize(
    "each",
    [
        breach("daily_exceedance", kind=Kind.EVENT, session=date(2026, 1, 5)),
        breach("policy_drawdown", evidence=Evidence.UNGATED, p_year=None),
        breach("no_data", evidence=Evidence.UNGATED, p_year=None),
    ],
    ids=lambda each: each.rule,
)
def test_events_and_what_no_evidence_gates_are_never_held(each: Evaluation) -> None:
    assert told(hold_back([each], judgement(ALONE), NEW)) == [(each.rule, "warning")]


def test_an_emergency_that_was_weak_before_is_found_by_the_change() -> None:
    weak = breach("drawdown", severity=Severity.EMERGENCY, evidence=Evidence.WEAK, value=-0.36)
    found = days(judgement(weak), [replace(weak, evidence=Evidence.UNGATED)])

    assert told(found) == []


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        # Its own old form notifies it, by whatever evidence.
        (breach("drawdown"), breach("drawdown"), "warning"),
        (breach("drawdown", evidence=Evidence.UNGATED), breach("drawdown"), "warning"),
        (breach("drawdown", severity=CRITICAL), breach("drawdown"), "warning"),
        # It was within the limit that it has passed since.
        (fine("drawdown", value=1.4), breach("drawdown"), "warning"),
        (fine("drawdown", value=1.4, outcome=Outcome.PARTIAL), breach("drawdown"), "warning"),
        # Within another limit than that of before.
        (fine("drawdown", value=1.9, limit=3.0), breach("drawdown"), None),
        (fine("drawdown", value=2.0), breach("drawdown"), None),
        # What could not be measured says nothing of before.
        (fine("drawdown", outcome=Outcome.INSUFFICIENT_DATA, value=None), breach("drawdown"), None),
        # A weak breach, now strong: news where a further documented limit was passed.
        (breach("drawdown", evidence=Evidence.WEAK), breach("drawdown"), None),
        (breach("drawdown", evidence=Evidence.UNRATED, p_year=None), breach("drawdown"), None),
        (
            breach("drawdown", evidence=Evidence.WEAK),
            breach("drawdown", severity=CRITICAL, value=3.0),
            "critical",
        ),
        (breach("drawdown", evidence=Evidence.WEAK), breach("drawdown", severity=CRITICAL), None),
        (
            breach("drawdown", severity=Severity.INFO, evidence=None),
            breach("drawdown", value=3.0),
            "warning",
        ),
    ],
)
def test_what_has_happened_since_is_news_and_what_was_there_is_not(
    before: Evaluation, now: Evaluation, expected: str | None
) -> None:
    found = days(judgement(before), [now])

    assert told(found) == ([] if expected is None else [("drawdown", expected)])


def test_an_open_incident_goes_on_and_is_not_raised_by_the_change() -> None:
    before = judgement(breach("drawdown", severity=CRITICAL, parts={"told_as": "warning"}))
    one, worse = (
        breach("drawdown", severity=CRITICAL),
        breach("drawdown", severity=Severity.EMERGENCY, value=3.0),
    )

    found = days(before, [one], [one])
    assert told(found) == [("drawdown", "warning")]
    assert "not notified" not in found[0].message
    assert told(days(before, [one], [worse])) == [("drawdown", "emergency")]


@pytest.mark.parametrize(
    ("now", "is_told"),
    [
        (breach(), False),
        (breach(p_year=0.0101), False),
        (breach(p_year=0.01), True),
        (breach(severity=CRITICAL), True),
        (breach(value=9.0), True),
        (breach(value=2.4), False),
        (breach(value=2.5), True),
        # Where the share has moved, it says how much worse it is.
        (breach(value=9.0, p_year=0.019), False),
        (breach(value=None, p_year=None), False),
    ],
)
def test_a_held_breach_is_notified_as_soon_as_it_is_worse(now: Evaluation, is_told: bool) -> None:
    found = days(judgement(ALONE), [breach()], [breach()], [now])

    assert bool(told(found)) is is_told


def test_what_is_kept_of_a_held_breach_is_json() -> None:
    (found,) = days(judgement(ALONE), [breach(value=math.inf)])

    assert json.loads(json.dumps(found.parts, allow_nan=False)) == {
        "told_as": "info",
        "held": {
            "trend|mean_shortfall_252|-": {
                "severity": "warning", "p_year": 0.02, "value": None, "limit": 1.5, "as": "info",
            }
        },
    }  # fmt: skip


def test_once_it_has_been_notified_it_is_held_no_more() -> None:
    found = days(judgement(ALONE), [breach()], [breach(p_year=0.005)], [breach(p_year=0.02)])

    assert told(found) == [("mean_shortfall_252", "warning")]


@pytest.mark.parametrize("inside", [fine(), breach(evidence=Evidence.WEAK)], ids=["ok", "weak"])
def test_a_breach_after_it_was_within_its_level_is_notified(inside: Evaluation) -> None:
    found = days(judgement(ALONE), [breach()], [inside], [breach()])

    assert told(found) == [("mean_shortfall_252", "warning")]


@pytest.mark.parametrize(
    "missing",
    [
        [fine(outcome=Outcome.NO_DATA, value=None), fine("drawdown", outcome=Outcome.NO_DATA)],
        [fine(outcome=Outcome.PARTIAL), fine("drawdown")],
        [fine("record_error", outcome=Outcome.ERROR, severity=CRITICAL)],
    ],
    ids=["no data", "partial", "error"],
)
def test_missing_rows_end_no_hold(missing: list[Evaluation]) -> None:
    other = fine("record_error", strategy="trend_2", outcome=Outcome.ERROR)
    both = [breach(), breach("decay_cusum")]
    found = days(judgement(ALONE), both, [other, *missing], [other, *missing], both)

    assert told(found) == []
    assert "held" not in days(judgement(ALONE), both, [other, *missing])[0].parts


def test_settings_that_a_person_changed_end_no_hold() -> None:
    first = judgement(*hold_back([breach()], judgement(ALONE), NEW), method=NEW)

    assert told(hold_back([breach()], first, RESET)) == []


SHIFT = "volatility_shift"


def test_an_incident_that_only_the_new_method_would_end_does_not_end_by_the_change() -> None:
    """Of method 6 the volatility of 63 rows, of method 7 the size of moves since they changed."""
    old = judgement(breach(SHIFT, value=2.6, limit=2.0, p_year=0.001), method="6-0123abcd")
    now = fine(SHIFT, value=1.02, limit=1.4, p_year=0.9)
    (found,) = hold_back([now], old, "7-0123abcd")

    assert is_recovered(now, budget=0.002)
    assert not is_recovered(found, budget=0.002)
    # From the next session on it is judged by the new method.
    (later,) = hold_back([now], judgement(found, method="7-0123abcd"), "7-0123abcd")
    assert is_recovered(later, budget=0.002)


def test_an_incident_of_the_measure_before_is_no_worse_by_the_new_one() -> None:
    old = breach(SHIFT, value=2.6, limit=2.0, p_year=0.001)
    now = breach(SHIFT, value=2.4, limit=1.3, p_year=0.0002)
    found = hold_back([now], judgement(old, method="6-0123abcd"), "7-0123abcd")

    assert found == [now]
    firing = evaluation_firing(now, WARNING, judgement(now, method="7-0123abcd"))
    opened = evaluation_firing(old, WARNING, judgement(old, method="6-0123abcd"))
    at = datetime(2026, 1, 5, 18, tzinfo=UTC)
    known = acknowledge(open_incident(opened, now=at, chain=None), by="ann", at=at)
    after, action = register_breach(known, firing, now=at, chain=None)
    assert action is Action.COUNT
    assert after.severity is WARNING


@pytest.mark.parametrize(("was", "limit", "value"), [(1.9, 2.0, 2.2), (0.9, 0.5, 0.4)])
def test_a_shift_of_another_measure_has_passed_no_limit_of_the_one_before(
    was: float, limit: float, value: float
) -> None:
    before = judgement(fine(SHIFT, value=was, limit=limit), method="6-0123abcd")

    assert told(hold_back([breach(SHIFT, value=value)], before, "7-0123abcd")) == []
    assert told(hold_back([breach(value=2.2)], judgement(fine(value=1.0)), NEW)) != []


def test_a_gap_that_is_found_while_an_incident_of_decay_goes_on_is_held_after_its_end() -> None:
    """People know of it by that incident: another message on its last day would be of the same."""
    gap, goes_on = breach("gap_since_launch"), breach(parts={"goes_on": True})
    quiet = judgement(fine(parts={"goes_on": True}), fine("gap_since_launch"), method=NEW)
    while_open = hold_back([goes_on, gap], quiet, NEW)
    assert told(while_open) == [("mean_shortfall_252", "warning")]

    after = hold_back([fine(), gap], judgement(*while_open, method=NEW), NEW)
    assert told(after) == []
    known = judgement(goes_on, gap, method=NEW)
    assert ("gap_since_launch", "warning") in told(hold_back([goes_on, gap], known, NEW))
    assert told(hold_back([fine(), gap], judgement(fine(), method=NEW), NEW)) == [
        ("gap_since_launch", "warning")
    ]
