"""A message about a drawdown says from which depth on the next one comes."""

from typing import Any

import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.notifications.messages import message_of
from perf_alerts_dagster.notifications.text import Wording
from perf_alerts_tests.incidents.incident_desk import IncidentDesk, breach, fine


def lines(desk: IncidentDesk) -> list[str]:
    return message_of(list(desk.memory.rows.values())[-1], wording=Wording()).text.splitlines()


@pytest.mark.parametrize(
    ("parts", "limit", "said"),
    [
        ({"step": 0}, -0.2, "The next message comes at 30.0 %"),
        ({"step": 1, "line": 0.36}, -0.2, "The next message comes at 36.0 %"),
        ({"step": 0, "line": 0.36}, -0.2, "The next message comes at 30.0 %"),
        ({"step": 2, "line": 0.15}, -0.15, "The next message comes at 45.0 %"),
        ({}, -0.08, ""),
        ({"step": 0}, None, ""),
    ],
)
def test_a_drawdown_beyond_a_line_names_its_next_step(
    parts: dict[str, Any], limit: float | None, said: str
) -> None:
    desk = IncidentDesk()
    given: dict[str, Any] = {"rule": "drawdown", "limit": limit, "severity": Severity.CRITICAL}
    desk.judge(breach(**given, parts={"episode": "2026-01-05", **parts}))

    found = [line for line in lines(desk) if line.startswith("The next message")]

    assert found == ([f"{said}; a new high begins a new episode."] if said else [])


def test_a_line_that_is_passed_is_said_to_be_as_common_as_its_sentence_says() -> None:
    desk = IncidentDesk()
    parts = {"episode": "2026-01-05", "step": 0}
    desk.judge(breach(rule="drawdown", p_year=0.5, false_alarm_rate=0.83, parts=parts))

    assert not any("healthy years" in line for line in lines(desk))


def test_what_is_over_has_no_next_step() -> None:
    desk = IncidentDesk()
    desk.judge(breach(rule="drawdown", parts={"episode": "2026-01-05", "step": 0}))
    desk.deliver()
    desk.judge_next_day(fine(rule="drawdown"))

    assert not any(line.startswith("The next message") for line in lines(desk))
