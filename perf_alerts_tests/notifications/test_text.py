"""The words about one incident that pages show as well."""

from typing import Any

import pytest

from perf_alerts_dagster.incidents.model import Reason
from perf_alerts_dagster.incidents.notification import IncidentNotice, notice_payload
from perf_alerts_dagster.judging.evaluation import Evidence
from perf_alerts_dagster.notifications.text import Payload, measurement, reliability
from perf_alerts_tests.incidents.example_incidents import an_incident


def payload(**changes: Any) -> Payload:
    incident = an_incident(**changes)
    return notice_payload(IncidentNotice(incident=incident, reason=Reason.OPENED, number=0))


@pytest.mark.parametrize(
    ("rule", "value", "limit", "said"),
    [
        ("drawdown", -0.3, -0.2, "-30.0 %; limit -20.0 %."),
        ("flat_run", 85.0, 1.0, "85 sessions; limit 1 session."),
        ("flat_run", 85.0, None, "85 sessions."),
        ("flat_run", None, 1.0, ""),
        ("is_no_more", 0.25, 2.0, "0.25; limit 2."),
    ],
)
def test_a_value_stands_beside_its_limit_in_its_unit(
    rule: str, value: float | None, limit: float | None, said: str
) -> None:
    assert measurement(payload(rule=rule, value=value, limit=limit)) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"p_year": 0.0125, "parts": {"false_alarm_rate": 0.05, "power": 0.61}},
            "How sure: 1.25 % of healthy years show this; false alarms of this rule: 5 % a year; "
            "power: it sees 61 % of real faults within 126 sessions.",
        ),
        ({"p_year": 0.0001, "parts": {}}, "How sure: under 0.1 % of healthy years show this."),
        (
            {"p_year": 0.5, "parts": {"false_alarm_rate": 0.8, "step": 0}},
            "How sure: 50 % of healthy years show this.",
        ),
        ({"p_year": None, "parts": {}, "evidence": Evidence.UNRATED}, "Evidence: not rated."),
        ({"p_year": None, "parts": {}, "evidence": Evidence.UNGATED}, ""),
    ],
)
def test_a_page_says_how_sure_a_rule_is(changes: dict[str, Any], said: str) -> None:
    assert reliability(payload(**changes)) == said
