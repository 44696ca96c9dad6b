"""What a silence matches, when, and what no silence may be."""

import re
from dataclasses import replace
from typing import Any

import pytest

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.suppression import Matchers, Silence, checked
from perf_alerts_tests.incidents.example_incidents import HOUR, INSTANT, NOON, an_incident

SILENCE = Silence(
    id="s",
    matchers=Matchers(strategy="trend"),
    starts_at=NOON,
    ends_at=NOON + HOUR,
    author="ann",
    reason="maintenance",
)


@pytest.mark.parametrize(
    ("matchers", "matches"),
    [
        ({}, True),
        ({"strategy": "trend"}, True),
        ({"strategy": "carry"}, False),
        ({"rule": "drawdown"}, True),
        ({"rule": "flat_run"}, False),
        ({"alert": "daily"}, True),
        ({"alert": "weekly"}, False),
        ({"severity": Severity.CRITICAL}, True),
        ({"severity": Severity.WARNING}, False),
        ({"strategy": "trend", "rule": "flat_run"}, False),
        (
            {
                "strategy": "trend",
                "rule": "drawdown",
                "alert": "daily",
                "severity": Severity.CRITICAL,
            },
            True,
        ),
    ],
)
def test_all_that_is_set_has_to_be_the_incidents(matchers: dict[str, Any], matches: bool) -> None:
    assert Matchers(**matchers).match(an_incident()) is matches
    assert replace(SILENCE, matchers=Matchers(**matchers)).mutes(an_incident(), NOON) is matches


@pytest.mark.parametrize(
    ("after", "active"),
    [(-INSTANT, False), (0 * HOUR, True), (HOUR - INSTANT, True), (HOUR, False)],
)
def test_it_mutes_from_its_start_on_and_before_its_end(after: Any, active: bool) -> None:
    assert SILENCE.is_active(NOON + after) is active
    assert SILENCE.mutes(an_incident(), NOON + after) is active


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"matchers": Matchers()},
            "a silence needs at least one of strategy, rule, alert, severity, event",
        ),
        ({"author": " "}, "a silence needs an author and a reason"),
        ({"reason": ""}, "a silence needs an author and a reason"),
        ({"ends_at": NOON}, "ends_at: a silence ends after it starts"),
        ({"ends_at": NOON - INSTANT}, "ends_at: a silence ends after it starts"),
    ],
)
def test_a_silence_of_everything_of_nobody_or_without_length_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        checked(replace(SILENCE, **changes))


@pytest.mark.parametrize(
    "matchers",
    [
        Matchers(strategy="trend"),
        Matchers(rule="drawdown"),
        Matchers(alert="daily"),
        Matchers(severity=Severity.INFO),
    ],
)
def test_one_matcher_and_an_instant_are_enough(matchers: Matchers) -> None:
    good = replace(SILENCE, matchers=matchers, ends_at=NOON + INSTANT)

    assert checked(good) is good
