from perf_alerts_dagster.core.alerts import ALERTS, BY_NAME, Family
from perf_alerts_dagster.judging.rules.catalogue import RULES

LIMITS = {Family.THRESHOLD, Family.DATA}


def test_there_are_five_alerts_in_their_documented_order() -> None:
    assert list(BY_NAME) == [
        "daily_pnl_check",
        "weekly_stability_check",
        "monthly_forward_test_update",
        "performance_threshold_check",
        "evening_performance_check",
    ]


def test_each_alert_judges_its_families() -> None:
    assert {alert.name: set(alert.families) for alert in ALERTS} == {
        "daily_pnl_check": LIMITS | {Family.PROJECTION},
        "weekly_stability_check": {Family.SCORE},
        "monthly_forward_test_update": {Family.FORWARD},
        "performance_threshold_check": LIMITS,
        "evening_performance_check": LIMITS,
    }


def test_every_family_has_a_rule_and_an_alert_that_judges_it() -> None:
    assert {rule.family for rule in RULES} == set(Family)
    assert {family for alert in ALERTS for family in alert.families} == set(Family)


def test_daily_alerts_skip_days_without_a_session_and_the_others_never_do() -> None:
    for alert in ALERTS:
        assert alert.skips_non_sessions is (alert.frequency == "daily")


def test_the_two_threshold_checks_notify_from_critical_and_the_others_from_warning() -> None:
    notified = {alert.name for alert in ALERTS if alert.notifies_from == "critical"}

    assert notified == {"performance_threshold_check", "evening_performance_check"}


def test_only_a_daily_alert_has_no_day() -> None:
    for alert in ALERTS:
        assert (alert.day is None) is (alert.frequency == "daily")


def test_no_two_alerts_share_a_name_or_a_variable() -> None:
    variables = [variable for alert in ALERTS for variable in alert.variables]

    for names in (
        [alert.name for alert in ALERTS],
        [alert.retry_prefix for alert in ALERTS],
        [variable.setting for variable in variables],
        [variable.public_name for variable in variables],
    ):
        assert len(set(names)) == len(names)
