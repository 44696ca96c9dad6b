import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perf_alerts_dagster.scheduler.graphql import scheduler
from perf_alerts_dagster.scheduler.port import DefinitionsNotLoaded, RunState, SchedulerUnexpected
from perf_alerts_tests.scheduler.graphql.examples import MADE, NOW, run, schedule, tagged


def test_a_run_carries_attempts_and_times_and_an_id_from_the_time_it_was_made() -> None:
    found = scheduler.run_of(run())
    assert found is not None

    assert found.execution_id == "daily_pnl_check_20260130_170015"
    assert (found.attempts, found.as_of, found.triggered_by) == (2, "2026-01-30", "schedule")
    assert found.started_at == MADE + timedelta(seconds=2)
    assert found.ended_at == MADE + timedelta(seconds=30)
    assert found.success is True


def test_the_outcome_of_a_run_and_its_note_are_tags() -> None:
    found = scheduler.run_of(run(tags=tagged(outcome="insufficient_data", note="new_ml: 40")))
    assert found is not None

    assert (found.outcome, found.note) == ("insufficient_data", "new_ml: 40")


def test_an_error_that_a_later_attempt_healed_is_no_error_of_the_run() -> None:
    found = scheduler.run_of(run(tags=tagged(attempts="2", error="StoreUnavailable: away")))
    assert found is not None

    assert found.error is None


def test_a_failed_run_has_the_error_of_its_last_attempt() -> None:
    found = scheduler.run_of(run(status="FAILURE", tags=tagged(attempts="3", error="X: gone")))
    assert found is not None

    assert (found.success, found.error, found.attempts) == (False, "X: gone", 3)


def test_a_run_that_retries_shows_the_error_it_retries_after() -> None:
    found = scheduler.run_of(run(status="STARTED", tags=tagged(attempts="1", error="X: gone")))
    assert found is not None

    assert (found.success, found.error) == (None, "X: gone")


def test_a_run_that_crashed_says_so_without_a_tag() -> None:
    found = scheduler.run_of(run(status="FAILURE", tags=[]))
    assert found is not None

    assert found.error == "the run ended outside its code: it crashed or ran out of time"
    assert found.attempts == 0


def test_an_unfinished_run_has_no_end() -> None:
    found = scheduler.run_of(run(status="STARTED"))
    assert found is not None

    assert (found.state, found.ended_at, found.success) == (RunState.RUNNING, None, None)


@pytest.mark.parametrize("attempts", ["", "-1", "two", "²", "1.5"])
def test_attempts_that_somebody_wrote_by_hand_count_as_none(attempts: str) -> None:
    found = scheduler.run_of(run(tags=tagged(attempts=attempts)))
    assert found is not None

    assert found.attempts == 0


def test_a_run_of_another_job_is_no_alerts_run() -> None:
    assert scheduler.run_of(run(jobName="__ASSET_JOB")) is None


@pytest.mark.parametrize(
    "facts",
    [
        {},
        run(status="NO_SUCH"),
        run(creationTime=None),
        run(creationTime="then"),
        run(creationTime=True),
        run(creationTime=float("nan")),
        run(startTime=1e300),
        run(tags=None),
        run(tags=[{"key": "perf_alerts/as_of"}]),
        run(jobName=[]),
    ],
)
def test_a_run_of_another_shape_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(SchedulerUnexpected, match="unknown shape"):
        scheduler.run_of(facts)


@pytest.mark.parametrize(
    "kind", ["RepositoryNotFoundError", "PipelineNotFoundError", "ScheduleNotFoundError"]
)
def test_definitions_that_are_not_there_have_an_error_of_their_own(kind: str) -> None:
    with pytest.raises(DefinitionsNotLoaded):
        scheduler.member({"found": {"__typename": kind}}, "found", "Repository")


@pytest.mark.parametrize("found", [{"__typename": "PythonError"}, {}, None, [], "x"])
def test_another_member_of_a_union_is_refused_without_its_words(found: object) -> None:
    with pytest.raises(SchedulerUnexpected) as caught:
        scheduler.member({"found": found}, "found", "Runs")

    assert str(caught.value) == "Dagster answered with an error"


def at(hour: int, *, day: int = 30) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def ticking(due: list[datetime], ticks: list[datetime], since: datetime, **state: Any) -> Any:
    facts = schedule(
        "daily_pnl_check",
        ticks=[{"timestamp": one.timestamp()} for one in ticks],
        typeSpecificData={"__typename": "ScheduleData", "startTimestamp": since.timestamp()},
        **state,
    )
    facts["futureTicks"] = {"results": [{"timestamp": one.timestamp()} for one in due]}
    return scheduler.schedule_of(facts, (), NOW)


def test_due_times_without_a_tick_are_missed() -> None:
    found = ticking([at(17, day=28), at(17, day=29), at(17)], [at(17)], at(0, day=1))

    assert found.missed == 2
    assert found.newest_tick == at(17)


def test_what_was_due_before_the_schedule_was_turned_on_is_not_missed() -> None:
    assert ticking([at(17, day=28), at(17, day=29)], [], at(12, day=29)).missed == 1


def test_what_was_due_before_the_times_came_into_force_is_not_missed() -> None:
    facts = schedule("daily_pnl_check")
    facts["futureTicks"] = {
        "results": [{"timestamp": at(17, day=day).timestamp()} for day in (28, 29)]
    }

    assert scheduler.schedule_of(facts, (), NOW, at(18, day=28)).missed == 1
    assert scheduler.schedule_of(facts, (), NOW, at(18, day=29)).missed == 0
    assert scheduler.schedule_of(facts, (), NOW).missed == 2


def test_a_tick_of_this_minute_may_still_come() -> None:
    assert ticking([NOW - timedelta(seconds=60)], [], at(0, day=1)).missed == 0


def test_a_schedule_that_is_off_misses_nothing_and_has_no_next_run() -> None:
    found = ticking([at(17)], [], at(0, day=1), status="STOPPED")

    assert (found.enabled, found.missed, found.next_run) == (False, 0, None)


def test_a_schedule_that_dagster_has_not_looked_at_yet_misses_nothing() -> None:
    facts = schedule("daily_pnl_check", typeSpecificData=None)
    facts["futureTicks"] = {"results": [{"timestamp": at(1).timestamp()}]}

    assert scheduler.schedule_of(facts, (), NOW).missed == 0


def test_the_settings_are_those_of_the_first_alert_that_carries_them() -> None:
    entry = {"label": "settings", "jsonString": json.dumps({"timezone": "UTC"})}
    jobs = [
        {"name": "other", "metadataEntries": [{"label": "settings", "jsonString": "{}"}]},
        {"name": "daily_pnl_check", "metadataEntries": [{"label": "other"}, entry]},
    ]

    assert scheduler.settings_of(jobs) == {"timezone": "UTC"}


@pytest.mark.parametrize("text", ["", "[]", "{", "1"])
def test_settings_that_are_no_object_are_refused(text: str) -> None:
    entry = {"label": "settings", "jsonString": text}
    with pytest.raises(SchedulerUnexpected):
        scheduler.settings_of([{"name": "daily_pnl_check", "metadataEntries": [entry]}])


def test_a_daemon_that_never_lived_has_no_heartbeat() -> None:
    assert scheduler.heartbeat_of([{"daemonType": "SENSOR", "lastHeartbeatTime": 5.0}]) is None
