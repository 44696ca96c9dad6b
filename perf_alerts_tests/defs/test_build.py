"""What the code location holds, written out: it cannot change by accident."""

from collections.abc import Mapping

import dagster as dg
import pytest

from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.defs.build import build_definitions
from perf_alerts_dagster.defs.failures import CappedBackoff
from perf_alerts_dagster.settings import load_settings

NAMES = [
    "daily_pnl_check",
    "weekly_stability_check",
    "monthly_forward_test_update",
    "performance_threshold_check",
    "evening_performance_check",
]


def definitions(environ: Mapping[str, str] | None = None) -> dg.Definitions:
    return build_definitions(load_settings(environ or {}, None))


def crons(defs: dg.Definitions) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in NAMES:
        schedule = defs.get_repository_def().get_schedule_def(f"{name}_schedule")
        found[name] = schedule.cron_schedule
    return found


def test_the_definitions_load() -> None:
    dg.Definitions.validate_loadable(definitions())


def test_there_are_five_alerts_with_the_documented_names_in_order() -> None:
    assert [alert.name for alert in ALERTS] == NAMES


def test_the_schedules_are_as_documented() -> None:
    defs = definitions()

    assert crons(defs) == {
        "daily_pnl_check": ["0 17 * * *"],
        "weekly_stability_check": ["0 8 * * 1"],
        "monthly_forward_test_update": ["0 9 1 * *"],
        "performance_threshold_check": ["0 12 * * *"],
        "evening_performance_check": ["0 22 * * *"],
    }
    for name in NAMES:
        schedule = defs.get_repository_def().get_schedule_def(f"{name}_schedule")
        assert schedule.execution_timezone == "UTC"
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


@pytest.mark.parametrize(
    ("environ", "name", "expected"),
    [
        ({"ALERT_DAILY_PNL_TIME": "21:05"}, "daily_pnl_check", ["5 21 * * *"]),
        ({"ALERT_WEEKLY_STABILITY_DAY": "Sun"}, "weekly_stability_check", ["0 8 * * 0"]),
        (
            {"ALERT_MONTHLY_FORWARD_DAY": "29"},
            "monthly_forward_test_update",
            ["0 9 29 1,3-12 *", "0 9 L 2 *"],
        ),
        (
            {"ALERT_MONTHLY_FORWARD_DAY": "30"},
            "monthly_forward_test_update",
            ["0 9 30 1,3-12 *", "0 9 L 2 *"],
        ),
        ({"ALERT_MONTHLY_FORWARD_DAY": "31"}, "monthly_forward_test_update", ["0 9 L * *"]),
    ],
)
def test_schedules_follow_the_settings(
    environ: dict[str, str], name: str, expected: list[str]
) -> None:
    assert crons(definitions(environ))[name] == expected


def test_schedules_may_start_stopped_and_in_another_zone() -> None:
    defs = definitions({"ALERT_SCHEDULES_START": "stopped", "ALERT_TIMEZONE": "America/New_York"})
    schedule = defs.get_repository_def().get_schedule_def("daily_pnl_check_schedule")

    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.execution_timezone == "America/New_York"


@pytest.mark.parametrize("name", NAMES)
def test_each_job_is_described_limited_and_retried(name: str) -> None:
    job = definitions().get_job_def(name)
    op = job.get_node_named(f"judge_{name}").definition

    assert job.description
    # Three attempts of 900 s and waits of 60 s and 120 s.
    assert job.tags["dagster/max_runtime"] == "2880"
    assert job.tags["perf_alerts/alert"] == name
    assert job.executor_def.name == "in_process"
    assert isinstance(op, dg.OpDefinition)
    assert isinstance(op.retry_policy, CappedBackoff)
    assert op.retry_policy.max_retries == 2


def test_the_public_settings_are_on_each_job_and_no_secret_is() -> None:
    secret = "a-very-secret-key-of-more-than-32-characters"
    defs = definitions({"ALERT_ADMIN_API_KEY": secret, "ALERT_DAILY_PNL_TIME": "16:00"})
    shown = str(defs.get_job_def("daily_pnl_check").metadata["settings"].value)

    assert "'daily_pnl_time': '16:00'" in shown
    assert secret not in shown
