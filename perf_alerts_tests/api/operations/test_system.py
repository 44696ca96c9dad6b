"""What operators see of the system: findings, channels and settings."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from sqlalchemy import insert

from perf_alerts_dagster.api.operations import examination
from perf_alerts_dagster.api.operations.examination import Examination, examined
from perf_alerts_dagster.api.operations.schemas import FindingData
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_dagster.storage.tables import notifications
from perf_alerts_tests.server.apps import Proxy, serving
from perf_alerts_tests.server.fakes import NOW

FINDING = FindingData(where="disk", problem="is full", fix="free space")
SECRET = "https://hooks.slack.com/services/T000/B000/verysecret"


async def test_the_doctor_answers_with_its_findings_and_the_checks_of_readiness() -> None:
    proxy = Proxy()
    proxy.scheduler.heartbeat = None
    proxy.findings = [FINDING]
    async with serving(proxy) as http:
        data = (await http.get("/doctor", headers={"X-Role": "viewer"})).json()["data"]

    assert data["findings"] == [FINDING.model_dump()]
    assert data["healthy"] is False
    failing = {each["name"]: each for each in data["checks"] if not each["ok"]}
    assert list(failing) == ["daemon_heartbeat"]
    assert "start the stack" in failing["daemon_heartbeat"]["fix"]
    assert {each["fix"] for each in data["checks"] if each["ok"]} == {None}


async def test_without_findings_and_failing_checks_it_is_healthy() -> None:
    async with serving(Proxy()) as http:
        assert (await http.get("/doctor")).json()["data"]["healthy"] is True


async def test_many_who_ask_share_one_examination_of_half_a_minute() -> None:
    seconds, asked = [0.0], []

    def examine() -> list[FindingData]:
        asked.append(seconds[0])
        return []

    doctor = Examination(examine=examine, seconds=lambda: seconds[0])
    await asyncio.gather(*(doctor.findings(NOW) for _ in range(5)))
    seconds[0] = 30.0
    await doctor.findings(NOW)
    seconds[0] = 30.1
    await doctor.findings(NOW)

    assert asked == [0.0, 30.1]


@pytest.mark.slow
def test_the_doctor_examines_apart_with_the_servers_settings(tmp_path: Any) -> None:
    settings = load_settings({"ALERT_STATE_DIR": str(tmp_path / "nowhere")}, dotenv=None)

    (found,) = examined(settings)

    assert (found.where, found.problem) == (f"state folder {tmp_path / 'nowhere'}", "is not there")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import time; time.sleep(60)", "gave no answer within 1 s"),
        ("print('{')", "gave no answer that can be read"),
        ("print('{}')", "gave no answer that can be read"),
    ],
)
def test_an_examination_that_fails_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, code: str, problem: str
) -> None:
    command = (examination._COMMAND[0], "-c", code)
    monkeypatch.setattr(examination, "_COMMAND", command)
    monkeypatch.setattr(examination, "_SECONDS", 1.0)

    (found,) = examined(load_settings({}, dotenv=None))

    assert found.problem == problem


class Silent:
    """A channel of the settings."""

    name = "mailto:0123abcd"
    minimum = Severity.CRITICAL
    takes_answers: ClassVar[bool] = False

    def send(self, message: object) -> None:
        """Nothing is sent here."""


def message(proxy: Proxy, number: int, channel: str, state: str, **more: Any) -> None:
    row = {
        "key": str(number),
        "kind": "normal",
        "channel": channel,
        "payload": {},
        "created_at": NOW - timedelta(hours=1),
        "next_at": NOW,
        "state": state,
        "attempts": 1,
        "fence": 0,
    }
    with proxy.database.engine.begin() as connection:
        connection.execute(insert(notifications), row | more)


async def test_channels_have_their_last_delivery_and_why_the_newest_failed() -> None:
    proxy = Proxy()
    proxy.channels = [Silent()]
    sent = datetime(2026, 1, 30, 9, 3, tzinfo=UTC)
    message(proxy, 1, Silent.name, "sent", sent_at=sent)
    message(proxy, 2, Silent.name, "sent", sent_at=sent - timedelta(days=1))
    message(proxy, 3, Silent.name, "sent", sent_at=sent - timedelta(days=91))
    message(proxy, 4, Silent.name, "pending", error="refused")
    message(proxy, 5, "slack:89abcdef", "dead", error="no such hook")
    message(proxy, 6, "slack:89abcdef", "leased")
    async with serving(proxy) as http:
        mail, slack = (await http.get("/channels")).json()["data"]

    assert mail == {
        "channel": Silent.name, "configured": True, "minimum": "critical",
        "sent_at": "2026-01-30T09:03:00Z", "sent": 2, "waiting": 1, "given_up": 0,
        "error": "refused",
    }  # fmt: skip
    assert slack == {
        "channel": "slack:89abcdef", "configured": False, "minimum": None, "sent_at": None,
        "sent": 0, "waiting": 1, "given_up": 1, "error": "no such hook",
    }  # fmt: skip


async def test_settings_say_where_each_comes_from_and_no_secret() -> None:
    proxy = Proxy(None, ALERT_NOTIFY_URLS=SECRET, ALERT_TIMEZONE="Europe/Berlin")
    async with serving(proxy) as http:
        await http.put("/config/thresholds", json={"default": {"drawdown_warning": 0.07}})
        answer = await http.get("/settings")
        refused = await http.get("/settings", headers={"X-Role": "operator"})

    rows = {each["variable"]: each for each in answer.json()["data"]}
    assert rows["ALERT_NOTIFY_URLS"] == {
        "variable": "ALERT_NOTIFY_URLS",
        "value": "set",
        "default": None,
        "source": "environment",
        "secret": True,
    }
    assert rows["ALERT_TIMEZONE"]["value"] == "Europe/Berlin"
    assert (rows["ALERT_PROXY_PORT"]["source"], rows["ALERT_PROXY_PORT"]["value"]) == (
        "default",
        "8089",
    )
    assert rows["ALERT_THRESHOLDS"]["source"] == "REST, version 1"
    assert rows["ALERT_POLICY_LIMITS"]["source"] == "default"
    assert "verysecret" not in answer.text
    assert "key-of-the-tests" not in answer.text
    assert refused.status_code == 403


def test_the_password_of_the_records_source_is_masked(tmp_path: Any) -> None:
    from perf_alerts_dagster.settings.shown import described

    url = "postgresql://reader:verysecret@db.example/desk"
    settings: Settings = load_settings({"ALERT_RECORDS_URL": url}, dotenv=None)

    assert "verysecret" not in str(described(settings))
    assert "db.example" in str(described(settings)["records_url"]["value"])
