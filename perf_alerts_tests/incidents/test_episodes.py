"""A drawdown's episode: each step is notified once, from one high to the next."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Resolution, Status
from perf_alerts_dagster.incidents.transitions import is_recovered, register_breach
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Outcome
from perf_alerts_tests.incidents.example_incidents import NOON, a_firing, an_incident
from perf_alerts_tests.incidents.incident_desk import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    IncidentDesk,
    breach,
    fine,
    judged,
)

FIRST = "2026-01-05"


def drawdown(depth: float, line: float = 0.15, **changes: Any) -> Evaluation:
    """Beyond the strategy's own line, or the documented 20 % where that is not as deep."""
    is_own = depth >= line
    limit = line if is_own else 0.2
    parts: dict[str, Any] = {"episode": FIRST, "step": int((depth - limit) / 0.1 + 1e-9)}
    parts |= {"capital_limit": min(line, 0.2)} | ({} if is_own else {"escalates": False})
    given: dict[str, Any] = {
        "rule": "drawdown",
        "severity": Severity.EMERGENCY if is_own else Severity.CRITICAL,
        "evidence": Evidence.UNGATED,
        "value": -depth,
        "limit": -limit,
        "parts": parts | changes.pop("parts", {}),
    }
    return breach(**(given | changes))


def evidence(depth: float, severity: Severity = Severity.WARNING, **changes: Any) -> Evaluation:
    """A drawdown above the line that is rare enough."""
    given = {"value": -depth, "limit": -0.08, "severity": severity, "parts": {"episode": FIRST}}
    return breach(**({"rule": "drawdown"} | given | changes))


def healed(depth: float = 0.0, **changes: Any) -> Evaluation:
    return fine(rule="drawdown", value=-depth, limit=-0.08, **changes)


def resolve(desk: IncidentDesk) -> None:
    desk.lifecycle.resolve(desk.all()[-1].id, by="ann", now=desk.now, outcome=Resolution.KNOWN)


def test_an_open_drawdown_is_notified_at_its_line_and_at_each_further_10_points() -> None:
    desk = IncidentDesk()
    said = []
    for depth in (0.16, 0.2, 0.24, 0.26, 0.22, 0.27, 0.47, 0.3):
        desk.judge_next_day(drawdown(depth))
        said.append(desk.deliver())

    opened, raised = (f"mail: {reason} emergency trend/drawdown" for reason in ("opened", "raised"))
    assert said == [[opened], [], [], [raised], [], [], [raised], []]
    assert desk.only().steps == {"emergency": 3, "critical": 3}


def test_an_acknowledged_drawdown_is_silent_until_the_next_step() -> None:
    desk = IncidentDesk()
    desk.judge(drawdown(0.16))
    desk.acknowledge()
    desk.deliver()
    # Worse by more than a quarter, and longer than an acknowledgement of others holds.
    for depth in (0.24, 0.16, 0.24):
        desk.judge_next_day(drawdown(depth))
        desk.sweep()
    assert desk.deliver() == []
    assert desk.only().status is Status.ACKNOWLEDGED

    desk.judge_next_day(drawdown(0.25))

    assert desk.deliver() == ["mail: raised emergency trend/drawdown"]
    assert desk.only().status is Status.OPEN
    assert desk.entries()[-2].detail == {"why": "a further step of the drawdown"}
    assert desk.only().critical_since == desk.now


def test_a_resolved_drawdown_is_silent_until_the_next_step_and_calls_nobody() -> None:
    desk = IncidentDesk()
    desk.judge(drawdown(0.16))
    desk.deliver()
    resolve(desk)
    desk.judge_next_day(drawdown(0.2))
    desk.wait(HOUR)
    desk.sweep()
    again = desk.all()[-1]

    assert desk.deliver() == []
    assert (again.status, again.critical_since, again.chain) == (Status.OPEN, None, None)

    desk.judge_next_day(drawdown(0.26))
    assert desk.deliver() == ["mail: raised emergency trend/drawdown"]
    desk.wait(HOUR)
    desk.sweep()
    assert desk.deliver() == ["mail: escalation escalated emergency trend/drawdown"]


def test_what_has_been_resolved_minutes_before_its_next_step_waits_for_no_window() -> None:
    desk = IncidentDesk()
    desk.judge(drawdown(0.16))
    desk.deliver()
    resolve(desk)
    desk.wait(MINUTE)

    desk.judge(drawdown(0.26))

    assert desk.deliver() == ["mail: raised emergency trend/drawdown"]


def test_a_drawdown_that_recovers_without_a_new_high_is_the_same_episode() -> None:
    desk = IncidentDesk()
    desk.judge(drawdown(0.16))
    desk.judge_next_day(healed(0.05))
    desk.deliver()
    desk.judge_next_day(drawdown(0.17))
    assert desk.deliver() == []

    desk.judge_next_day(healed())
    desk.deliver()
    desk.judge_next_day(drawdown(0.15, parts={"episode": str(desk.day + DAY)}))

    assert desk.deliver() == ["mail: opened emergency trend/drawdown"]


def test_a_new_high_between_two_judgements_begins_a_new_episode() -> None:
    desk = IncidentDesk()
    desk.judge(drawdown(0.36))
    desk.acknowledge()
    desk.deliver()

    desk.judge_next_day(drawdown(0.16, parts={"episode": str(desk.day + DAY)}))

    assert desk.deliver() == ["mail: raised emergency trend/drawdown"]
    assert desk.only().steps == {"emergency": 0, "critical": 0}


def test_an_episode_goes_on_where_rows_at_its_head_are_lost() -> None:
    desk = IncidentDesk()
    desk.judge(drawdown(0.16))
    desk.deliver()
    for _ in range(5):
        # A source of the newest rows only, in which the start is the high.
        first = str(desk.day)
        desk.judge_next_day(drawdown(0.17, parts={"episode": first}))

    assert desk.deliver() == []


def test_evidence_uses_up_no_step_and_a_limit_is_louder_than_it() -> None:
    desk = IncidentDesk()
    said = []
    for found in (
        evidence(0.1),
        evidence(0.11),
        evidence(0.13, Severity.CRITICAL),
        drawdown(0.2, line=0.3),
        drawdown(0.31, line=0.3),
        evidence(0.14, Severity.CRITICAL),
    ):
        desk.judge_next_day(found)
        said += desk.deliver()

    assert said == [
        "mail: opened warning trend/drawdown",
        "mail: raised critical trend/drawdown",
        "mail: raised critical trend/drawdown",
        "mail: raised emergency trend/drawdown",
    ]
    assert desk.only().steps == {"warning": -1, "critical": 1, "emergency": 0}


def test_the_documented_limit_neither_escalates_nor_repeats_until_its_own_line_is_passed() -> None:
    desk = IncidentDesk()
    desk.judge(drawdown(0.22, line=0.36))
    desk.deliver()
    for _ in range(3):
        desk.wait(DAY)
        desk.sweep()
    assert desk.deliver() == []
    desk.acknowledge(until=desk.now + HOUR)
    desk.wait(2 * HOUR)
    desk.sweep()
    # The end that a person has set is said.
    assert desk.deliver() == ["mail: reopened critical trend/drawdown"]
    desk.wait(HOUR)
    desk.sweep()
    assert desk.deliver() == []

    desk.judge_next_day(drawdown(0.37, line=0.36))
    assert desk.deliver() == ["mail: raised emergency trend/drawdown"]
    desk.set(repeat=timedelta(0))
    desk.judge_next_day(drawdown(0.3, line=0.36))
    desk.wait(HOUR)
    desk.sweep()
    # 30 % was passed on the way to 37 %.
    assert desk.deliver() == ["mail: escalation escalated emergency trend/drawdown"]


@pytest.mark.parametrize("lines", [(0.15, 0.12, 0.25), (0.36, 0.18, 0.36)])
def test_a_new_calibration_repeats_no_step(lines: tuple[float, ...]) -> None:
    desk = IncidentDesk()
    for line in (*lines, *lines):
        desk.judge_next_day(drawdown(0.26, line))
    said = desk.deliver()

    assert len(said) == len(set(said))


def test_what_was_silenced_and_has_recovered_since_is_notified_when_it_comes_back() -> None:
    desk = IncidentDesk()
    desk.silence(3 * DAY)
    desk.judge_next_day(drawdown(0.16))
    desk.judge_next_day(drawdown(0.17))
    assert desk.happened().count("suppressed") == 1
    desk.judge_next_day(healed(0.05))
    desk.wait(DAY)
    desk.sweep()
    assert desk.deliver() == []

    desk.judge_next_day(drawdown(0.16))

    assert desk.deliver() == ["mail: opened emergency trend/drawdown"]


def test_a_silenced_step_is_notified_when_the_silence_ends_and_not_again() -> None:
    desk = IncidentDesk()
    desk.silence(HOUR)
    desk.judge(drawdown(0.16))
    desk.wait(2 * HOUR)
    desk.sweep()
    assert desk.deliver() == ["mail: opened emergency trend/drawdown"]

    desk.judge_next_day(drawdown(0.17))
    assert desk.deliver() == []


@pytest.mark.parametrize("answer", ["acknowledge", "resolve"])
def test_who_answers_a_silenced_drawdown_knows_of_it(answer: str) -> None:
    desk = IncidentDesk()
    desk.silence(HOUR)
    desk.judge(drawdown(0.16))
    if answer == "acknowledge":
        desk.acknowledge()
    else:
        resolve(desk)
    desk.wait(2 * HOUR)
    desk.sweep()

    desk.judge_next_day(drawdown(0.17))

    assert desk.deliver() == []


def test_what_was_only_observed_is_notified_once_observing_ends() -> None:
    desk = IncidentDesk()
    desk.set(observe_only=True)
    for depth in (0.16, 0.17, 0.18):
        desk.judge_next_day(drawdown(depth))
    assert desk.deliver() == []
    # No day by day noise.
    assert desk.happened().count("suppressed") == 1
    resolve(desk)
    desk.judge_next_day(drawdown(0.18))
    desk.set(observe_only=False)

    desk.judge_next_day(drawdown(0.26))
    assert desk.deliver() == ["mail: raised emergency trend/drawdown"]
    desk.judge_next_day(drawdown(0.27))
    assert desk.deliver() == []


def test_judgements_that_are_applied_together_repeat_nothing() -> None:
    desk = IncidentDesk()
    found = [drawdown(0.16), healed(0.05), drawdown(0.16), drawdown(0.17)]
    for place, one in enumerate(found):
        at = {"run_id": f"run-{place}", "as_of": MONDAY + place * DAY}
        desk.memory.add_judgement(judged(one, **at))
    desk.lifecycle.apply_judgements("daily_pnl_check", run_id="run-3", now=desk.now)

    assert desk.deliver() == ["mail: opened emergency trend/drawdown"]
    assert {one.status for one in desk.all()} == {Status.RESOLVED, Status.OPEN}


@pytest.mark.parametrize(("before", "after"), [("ALL", "ALL:USD"), ("ALL:USD", "ALL")])
def test_a_group_keeps_its_episode_under_its_new_name(before: str, after: str) -> None:
    desk = IncidentDesk()
    parts = {"group": "ALL", "currency": "USD"}
    desk.judge(drawdown(0.16, strategy=before, parts=parts))
    desk.deliver()
    resolve(desk)

    desk.judge_next_day(drawdown(0.17, strategy=after, parts=parts))

    assert desk.deliver() == []


OLD: dict[str, Any] = {"value": -0.22, "limit": -0.2, "p_year": 0.001, "parts": {"deepest": -0.22}}


def older(status: str, **changes: Any) -> IncidentDesk:
    """A desk whose incident is of the version before, without any episode."""
    desk = IncidentDesk()
    desk.judge(drawdown(0.22))
    desk.deliver()
    if status != "open":
        desk.acknowledge() if status == "acknowledged" else resolve(desk)
    only = desk.only()
    desk.memory.by_id[only.id] = replace(only, steps=None, **(OLD | changes))
    return desk


@pytest.mark.parametrize("status", ["open", "acknowledged", "resolved"])
@pytest.mark.parametrize(
    ("found", "said"),
    [
        (drawdown(0.23, line=0.15), []),
        (drawdown(0.23, line=0.36), []),
        (evidence(0.14, Severity.CRITICAL), []),
        (drawdown(0.26, line=0.15), ["mail: raised emergency trend/drawdown"]),
    ],
)
def test_an_incident_of_the_version_before_says_nothing_twice(
    status: str, found: Evaluation, said: list[str]
) -> None:
    desk = older(status)

    desk.judge_next_day(found)

    assert desk.deliver() == said
    desk.judge_next_day(found)
    assert desk.deliver() == []


def test_a_warning_of_the_version_before_is_raised_at_the_line() -> None:
    desk = older("open", severity=Severity.WARNING, critical_since=None, chain=None)

    desk.judge_next_day(drawdown(0.23))

    assert desk.deliver() == ["mail: raised emergency trend/drawdown"]
    assert desk.only().critical_since == desk.now


@pytest.mark.parametrize(
    "changes", [{"notifications": 0}, {"value": None, "notifications": 1}, {"as_of": None}]
)
def test_an_incident_of_the_version_before_that_nobody_knows_of_is_notified(
    changes: dict[str, Any],
) -> None:
    before = an_incident(**({"notifications": 1} | changes))
    firing = a_firing(
        severity=Severity.EMERGENCY if changes.get("value", 1) is None else Severity.CRITICAL,
        parts={"episode": FIRST, "step": 0},
    )

    after, action = register_breach(before, firing, now=NOON, chain=None)

    assert action.value == "raise"
    assert after.steps is not None


@pytest.mark.parametrize(
    ("depth", "outcome", "recovered"),
    [
        (0.17, Outcome.BREACH, True),
        (0.18, Outcome.BREACH, True),
        (0.181, Outcome.BREACH, False),
        (0.05, Outcome.OK, True),
    ],
)
def test_a_line_is_over_a_tenth_of_it_inside_however_common_that_depth_is(
    depth: float, outcome: Outcome, recovered: bool
) -> None:
    evaluation = breach(
        rule="drawdown",
        outcome=outcome,
        evidence=Evidence.WEAK,
        p_year=0.5,
        value=-depth,
        limit=-0.08,
    )

    assert is_recovered(evaluation, budget=0.05, line=0.2) is recovered


@pytest.mark.parametrize(
    "parts",
    [{"capital_limit": 0.2}, {}, {"levels": {"warning": 0.004, "critical": 0.001}}],
)
def test_neither_a_deeper_line_nor_a_mandate_ends_what_an_earlier_line_has_begun(
    parts: dict[str, Any],
) -> None:
    desk = IncidentDesk()
    desk.judge(drawdown(0.16, line=0.15))
    weak = evidence(0.14, evidence=Evidence.WEAK, p_year=0.5)
    within = replace(weak, parts={"episode": FIRST, **parts})

    desk.judge_next_day(within)
    assert desk.only().status is Status.OPEN

    desk.judge_next_day(replace(within, value=-0.13))
    assert desk.only().status is Status.RESOLVED


def test_a_step_of_a_resolved_incident_opens_another_one() -> None:
    over = an_incident(status=Status.RESOLVED, steps={"critical": 0}, as_of=MONDAY)
    firing = a_firing(parts={"episode": FIRST, "step": 1})

    after, action = register_breach(over, firing, now=NOON, chain=None)

    assert action.value == "new"
    assert after.steps == {"critical": 0}


def test_without_episodes_as_documented_an_incident_keeps_what_it_knows() -> None:
    desk = IncidentDesk()
    desk.judge(drawdown(0.16))
    desk.deliver()
    known = desk.only().steps
    without = replace(drawdown(0.16), parts={"deepest": -0.16})

    desk.judge_next_day(without)

    assert desk.only().steps == known
    assert desk.deliver() == []
