"""People are notified of a failed execution, directly where the alert store itself fails."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from perf_alerts_dagster.bootstrap.notifications import open_incidents
from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.defs.failures import reporter
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_tests.receivers import Receiver
from perf_alerts_tests.stack.real import Ledger, weekdays_before

DAILY = "daily_pnl_check"
NOWHERE = "postgresql+psycopg://nobody:canary@127.0.0.1:1/none"


@pytest.fixture
def environ(tmp_path: Path, receiver: Receiver) -> dict[str, str]:
    """A record whose last day broke the desk's mandate."""
    ledger = Ledger(tmp_path / "daily.csv")
    days = weekdays_before(datetime.now(UTC).date(), 3)
    ledger.begin(days[0])
    for day, pnl in zip(days, (100.0, 100.0, -9_000.0), strict=True):
        ledger.add(day, pnl)
    return {
        "ALERT_STATE_DIR": str(tmp_path / "state"),
        "ALERT_RECORDS_URL": str(ledger.path),
        "ALERT_PROJECTION_PATHS": "1000",
        "ALERT_POLICY_LIMITS": '{"default": {"daily_loss": 0.03}}',
        "ALERT_NOTIFY_URLS": receiver.channel,
        "ALERT_NOTIFY_ALLOWED_HOSTS": "127.0.0.1",
    }


def settings_of(environ: dict[str, str], **more: str) -> Settings:
    return load_settings({**environ, **more}, None)


def test_it_opens_an_incident_which_is_sent(environ: dict[str, str], receiver: Receiver) -> None:
    settings = settings_of(environ)
    migrate_store(settings)
    for _ in range(2):
        reporter(settings)(DAILY, None, "run-1", "the source is away")

    assert receiver.notified == ["opened critical /execution_failed"]
    assert len(receiver.got) == 1
    store = open_store(store_url(settings))
    (incident,) = (
        open_incidents(settings, store.engine)
        .store.snapshot(now=datetime.now(UTC), since=datetime.now(UTC))
        .incidents
    )
    store.close()
    assert "the source is away" in incident.message


def test_without_a_store_people_are_notified_of_the_breaches_directly(
    environ: dict[str, str], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(environ, ALERT_DATABASE_URL=NOWHERE)
    reporter(settings)(DAILY, None, "run-1", "the disk is full")

    (got,) = receiver.got
    notified = receiver.notified
    assert "opened critical /execution_failed" in notified
    assert "opened critical trend/policy_daily_loss" in notified
    assert got.json["subject"].startswith("[sent directly, the alert store cannot be used] ")
    assert "the disk is full" in got.json["text"]
    assert "canary" not in got.body.decode() + caplog.text


def test_a_second_notification_of_the_same_run_has_the_same_key(
    environ: dict[str, str], receiver: Receiver
) -> None:
    report = reporter(settings_of(environ, ALERT_DATABASE_URL=NOWHERE))
    for _ in range(2):
        report(DAILY, None, "run-1", "the disk is full")

    assert len(receiver.got) == 2
    assert len(set(receiver.keys)) == 1


def test_a_record_that_cannot_be_read_either_still_leaves_the_failure(
    environ: dict[str, str], receiver: Receiver
) -> None:
    Path(environ["ALERT_RECORDS_URL"]).write_text("no track record\n")
    report = reporter(settings_of(environ, ALERT_DATABASE_URL=NOWHERE))
    report(DAILY, None, "run-1", "the disk is full")

    assert receiver.notified == ["opened critical /execution_failed"]


def test_nobody_is_notified_where_people_only_observe(
    environ: dict[str, str], receiver: Receiver
) -> None:
    for more in ({}, {"ALERT_DATABASE_URL": NOWHERE}):
        settings = settings_of(environ, ALERT_OBSERVE_ONLY="true", **more)
        if not more:
            migrate_store(settings)
        reporter(settings)(DAILY, None, "run-1", "e")

    assert receiver.got == []
