"""Silences mute messages until their end, and never the record."""

from datetime import timedelta
from typing import Any

import pytest

from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.suppression import Matchers, Silence, checked
from perf_alerts_tests.incidents.incident_desk import (
    DAILY,
    HOUR,
    INSTANT,
    START,
    IncidentDesk,
    breach,
    fine,
)


@pytest.fixture
def desk() -> IncidentDesk:
    return IncidentDesk()


@pytest.mark.parametrize(
    ("matchers", "mutes"),
    [
        ({"strategy": "trend"}, True),
        ({"rule": "max_drawdown"}, True),
        ({"alert": DAILY}, True),
        ({"severity": Severity.WARNING}, True),
        ({"strategy": "trend", "rule": "max_drawdown", "alert": DAILY}, True),
        ({"strategy": "trend", "rule": "sharpe_ratio"}, False),
        ({"strategy": "Trend"}, False),
        ({"severity": Severity.CRITICAL}, False),
    ],
)
def test_it_mutes_what_all_its_matchers_match(
    desk: IncidentDesk, matchers: dict[str, Any], mutes: bool
) -> None:
    desk.silence(HOUR, **matchers)
    desk.judge(breach())

    assert desk.only().status is Status.OPEN
    assert (desk.waiting() == []) is mutes
    assert desk.suppressions() == (["silenced"] if mutes else [])


def test_what_it_suppressed_is_notified_when_it_ends(desk: IncidentDesk) -> None:
    desk.silence(HOUR)
    desk.judge(breach())

    desk.wait(HOUR - INSTANT)
    desk.sweep()
    assert desk.waiting() == []
    desk.wait(INSTANT)
    desk.sweep()
    assert desk.waiting() == ["mail: opened warning trend/max_drawdown"]
    desk.deliver()
    desk.sweep()
    assert desk.waiting() == []


def test_what_is_over_by_its_end_is_not_notified(desk: IncidentDesk) -> None:
    desk.silence(HOUR)
    desk.judge(breach())
    desk.judge(fine())
    desk.wait(HOUR)
    desk.sweep()

    assert desk.waiting() == []


def test_a_recovery_that_it_suppressed_is_notified_when_it_ends(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.silence(HOUR)
    desk.judge(fine())
    assert desk.only().status is Status.RESOLVED
    assert desk.waiting() == []

    desk.wait(HOUR)
    desk.sweep()
    assert desk.deliver() == ["mail: recovered warning trend/max_drawdown"]
    desk.sweep()
    assert desk.waiting() == []


def test_one_that_starts_later_mutes_nothing_before(desk: IncidentDesk) -> None:
    desk.incidents.add_silence(
        Silence(
            id="later",
            matchers=Matchers(strategy="trend"),
            starts_at=START + INSTANT,
            ends_at=START + HOUR,
            author="ann",
            reason="maintenance",
        )
    )
    desk.judge(breach())

    assert len(desk.waiting()) == 1


def test_one_that_is_ended_mutes_no_more(desk: IncidentDesk) -> None:
    silence = desk.silence(HOUR)
    assert desk.incidents.end_silence(silence.id, desk.now)
    desk.judge(breach())

    assert len(desk.waiting()) == 1


def test_a_repeat_is_muted_too(desk: IncidentDesk) -> None:
    desk.judge(breach())
    desk.deliver()
    desk.wait(timedelta(hours=23))
    desk.silence(2 * HOUR)
    desk.wait(HOUR)
    desk.sweep()
    desk.sweep()
    assert desk.waiting() == []
    assert desk.suppressions() == ["silenced"]

    desk.wait(HOUR)
    desk.sweep()
    assert desk.waiting() == ["mail: repeated warning trend/max_drawdown"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"matchers": Matchers()}, "at least one of strategy, rule, alert, severity"),
        ({"author": " "}, "an author and a reason"),
        ({"reason": ""}, "an author and a reason"),
        ({"ends_at": START}, "ends after it starts"),
    ],
)
def test_one_that_mutes_everything_or_for_ever_is_refused(
    changes: dict[str, Any], error: str
) -> None:
    given: dict[str, Any] = {
        "id": "s",
        "matchers": Matchers(rule="max_drawdown"),
        "starts_at": START,
        "ends_at": START + HOUR,
        "author": "ann",
        "reason": "maintenance",
    }
    assert checked(Silence(**given))
    with pytest.raises(UsageError, match=error):
        checked(Silence(**(given | changes)))
