"""Incidents and silences over REST."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.notifications.delivery import Channel, DeliveryFailed
from perf_alerts_dagster.notifications.messages import Message
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, judged
from perf_alerts_tests.incidents.memory import MemoryIncidents
from perf_alerts_tests.server.apps import Proxy, serving

UNTIL = timedelta(hours=1)


@pytest.fixture
def proxy() -> Proxy:
    return Proxy(ALERT_PUBLIC_URL="https://alerts.example")


@pytest.fixture
async def http(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(proxy) as client:
        yield client


def judge(proxy: Proxy, *strategies: str, severity: Severity = Severity.CRITICAL) -> None:
    """An execution in which these breached."""
    store = proxy.incidents
    run_id = f"run-{len(store.judgements)}"
    found = [breach(strategy=one, severity=severity) for one in strategies]
    store.add_judgement(judged(*found, run_id=run_id))
    lifecycle = Lifecycle(store=store, settings=NotificationSettings(channels=("mail",)))
    lifecycle.apply_judgements(DAILY, run_id=run_id, now=proxy.time())


async def listed(http: httpx.AsyncClient, **params: str) -> list[str]:
    answer = await http.get("/incidents", params=params)
    assert answer.status_code == 200, answer.text
    return [one["strategy"] for one in answer.json()["data"]]


async def first(http: httpx.AsyncClient) -> str:
    found: str = (await http.get("/incidents")).json()["data"][0]["id"]
    return found


def at(proxy: Proxy, span: timedelta) -> str:
    return (proxy.time() + span).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_an_incident_is_shown_in_full(proxy: Proxy, http: httpx.AsyncClient) -> None:
    judge(proxy, "trend")

    data = (await http.get(f"/incidents/{await first(http)}")).json()["data"]
    assert data["dedup_key"] == "trend|max_drawdown|-"
    assert (data["status"], data["severity"], data["evidence"]) == ("open", "critical", "strong")
    assert (data["value"], data["limit"], data["p_year"]) == (-0.3, -0.2, 0.01)
    assert (data["acknowledged"], data["resolved"], data["breaches"]) == (None, None, 1)
    assert data["link"] == f"https://alerts.example/incidents/{data['id']}"
    assert data["next_escalation_at"] == at(proxy, timedelta(minutes=15))
    assert [one["what"] for one in data["timeline"]] == ["opened", "notified"]
    assert data["timeline"][1]["detail"]["channels"] == ["mail"]
    assert data["members"] == []


async def test_an_incident_says_which_messages_arrived_and_why_not(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, "trend", "carry")
    outbox, now = proxy.incidents, proxy.time()
    (row,) = outbox.claim(now, "w", UNTIL)
    outbox.mark_for_retry(row.id, row.fence, now + UNTIL, "answered with 503")

    async def delivery() -> dict[str, Any]:
        (found,) = (await http.get(f"/incidents/{await first(http)}")).json()["data"]["deliveries"]
        return dict(found)

    found = await delivery()
    assert (found["channel"], found["kind"], found["reason"]) == ("mail", "normal", "opened")
    assert (found["state"], found["attempts"]) == ("pending", 1)
    assert (found["error"], found["next_at"]) == ("answered with 503", at(proxy, UNTIL))
    (row,) = outbox.claim(now + UNTIL, "w", UNTIL)
    outbox.mark_sent(row.id, row.fence, now + UNTIL)
    found = await delivery()
    assert (found["state"], found["sent_at"], found["next_at"]) == ("sent", at(proxy, UNTIL), None)


async def test_incidents_are_filtered_and_paged(proxy: Proxy, http: httpx.AsyncClient) -> None:
    judge(proxy, "a", "b")
    judge(proxy, "c", severity=Severity.WARNING)

    assert await listed(http, severity="warning") == ["c"]
    assert await listed(http, strategy="a", rule="max_drawdown", status="open") == ["a"]
    assert await listed(http, status="resolved") == []
    assert await listed(http, since=at(proxy, UNTIL)) == []
    page = (await http.get("/incidents", params={"limit": "2"})).json()
    rest = await listed(http, limit="2", cursor=page["next_cursor"])
    assert sorted([one["strategy"] for one in page["data"]] + rest) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "params",
    [
        {"status": "closed"},
        {"severity": "bad"},
        {"since": "yesterday"},
        {"cursor": "x"},
        {"cursor": "YWJj"},
        {"limit": "0"},
        {"strategy": ""},
    ],
)
async def test_filters_that_mean_nothing_are_refused(
    proxy: Proxy, http: httpx.AsyncClient, params: dict[str, str]
) -> None:
    judge(proxy, "trend")
    answer = await http.get("/incidents", params=params)

    assert answer.status_code == 422, answer.text
    assert next(iter(params)) in answer.json()["detail"]


async def test_an_operator_acknowledges(proxy: Proxy, http: httpx.AsyncClient) -> None:
    judge(proxy, "trend")
    until = at(proxy, UNTIL)
    answer = await http.post(
        f"/incidents/{await first(http)}/acknowledge",
        json={"comment": "I look\nat it", "until": until},
        headers={"X-Role": "operator"},
    )

    data = answer.json()["data"]
    assert answer.status_code == 200
    assert data["status"] == "acknowledged"
    assert data["acknowledged"] == {
        "by": "operator",
        "at": at(proxy, timedelta(0)),
        "comment": "I look\nat it",
        "until": until,
    }
    assert data["timeline"][-1]["actor"] == "operator"
    (change,) = proxy.incidents.audit
    assert (change.action, change.target) == ("acknowledge", f"incidents/{data['id']}")
    assert (change.actor, change.request_id) == ("operator", "req-1")


async def test_what_is_refused_is_a_conflict(proxy: Proxy, http: httpx.AsyncClient) -> None:
    judge(proxy, "trend")
    path = f"/incidents/{await first(http)}"
    assert (await http.post(f"{path}/resolve", json={"outcome": "known"})).status_code == 200

    for answer in (
        await http.post(f"{path}/acknowledge"),
        await http.post(f"{path}/resolve", json={"outcome": "known"}),
    ):
        assert answer.status_code == 409
        assert answer.json()["code"] == "refused"
        said = "admin resolved it on 2026-01-30 at 18:00 UTC; nothing more to do"
        assert answer.json()["detail"] == said


async def test_a_resolution_says_what_it_was(proxy: Proxy, http: httpx.AsyncClient) -> None:
    judge(proxy, "trend")
    path = f"/incidents/{await first(http)}/resolve"
    for wrong in ({}, {"outcome": "recovered"}, {"outcome": 1}, {"outcome": "true", "x": "y"}):
        assert (await http.post(path, json=wrong)).status_code == 422

    answer = await http.post(path, json={"outcome": "data_error", "comment": "a wrong price"})
    assert answer.json()["data"]["resolved"]["outcome"] == "data_error"
    assert answer.json()["data"]["resolved"]["comment"] == "a wrong price"


@pytest.mark.parametrize("wrong", ["0" * 24, "abcdef12"])
async def test_an_incident_that_is_not_there_is_unknown(
    http: httpx.AsyncClient, wrong: str
) -> None:
    for answer in (
        await http.get(f"/incidents/{wrong}"),
        await http.post(f"/incidents/{wrong}/acknowledge"),
        await http.post(f"/incidents/{wrong}/resolve", json={"outcome": "true"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_incident")


async def test_an_id_of_another_form_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/incidents/%00")).status_code == 422
    assert (await http.get("/incidents/NOPE")).status_code == 422


@pytest.mark.parametrize("comment", ["a\x00b", "x" * 2001, "\x1b[31m"])
async def test_a_comment_that_could_do_harm_is_refused(
    proxy: Proxy, http: httpx.AsyncClient, comment: str
) -> None:
    judge(proxy, "trend")
    path = f"/incidents/{await first(http)}/acknowledge"

    assert (await http.post(path, json={"comment": comment})).status_code == 422


def silence(proxy: Proxy, **changes: Any) -> dict[str, Any]:
    given = {
        "matchers": {"strategy": "trend", "severity": "critical"},
        "ends_at": at(proxy, UNTIL),
        "reason": "maintenance",
    }
    return given | changes


async def test_a_silence_is_made_listed_and_ended(proxy: Proxy, http: httpx.AsyncClient) -> None:
    made = await http.post("/silences", json=silence(proxy))
    assert made.status_code == 201
    data = made.json()["data"]
    assert data["matchers"] == {
        "strategy": "trend",
        "severity": "critical",
        "rule": None,
        "alert": None,
        "event": None,
        "up_to": None,
    }
    assert (data["author"], data["reason"], data["active"]) == (
        "admin",
        "maintenance",
        True,
    )

    judge(proxy, "trend", "carry")
    waiting = [row for row in proxy.incidents.rows.values() if row.state.is_waiting]
    assert [item.dedup_key for row in waiting for item in row.items] == ["carry|max_drawdown|-"]
    assert (await http.get("/silences")).json()["data"] == [data]
    # A period ends before the time of its answer.
    await proxy.time.pause(1)
    summary = (await http.get("/schedule/summary/24")).json()["data"]
    assert (summary["active_suppressions"], summary["suppressed_notifications"]) == (1, 1)
    assert (summary["open_incidents"], summary["escalated"]) == (2, 0)

    ended = await http.delete(f"/silences/{data['id']}")
    assert (ended.status_code, ended.json()["data"]["active"]) == (200, False)
    assert (await http.get("/silences")).json()["data"] == []
    assert (await http.delete(f"/silences/{data['id']}")).status_code == 404
    assert [one.action for one in proxy.incidents.audit] == ["silence", "end_silence"]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("matchers", {"matchers": {}}),
        ("matchers", {"matchers": None}),
        ("matchers", {"matchers": {"strategy": None}}),
        ("matchers", {"matchers": {"host": "x"}}),
        ("severity", {"matchers": {"severity": "bad"}}),
        ("strategy", {"matchers": {"strategy": 1}}),
        ("event", {"matchers": {"event": "trend"}}),
        ("event", {"matchers": {"event": 7}}),
        ("ends_at", {"ends_at": None}),
        ("ends_at", {"ends_at": "2020-01-01T00:00:00Z"}),
        ("ends_at", {"ends_at": "2099-01-01T00:00:00Z"}),
        ("starts_at", {"starts_at": "2020-01-01T00:00:00Z"}),
        ("reason", {"reason": " "}),
        ("reason", {"reason": None}),
        ("known", {"author": "somebody else"}),
    ],
)
async def test_a_silence_that_is_wrong_is_refused_by_its_field(
    proxy: Proxy, http: httpx.AsyncClient, field: str, changes: dict[str, Any]
) -> None:
    answer = await http.post("/silences", json=silence(proxy, **changes))

    assert answer.status_code == 422, answer.text
    assert field in answer.json()["detail"]
    assert proxy.incidents.silence_rows == {}


class PastNotification(Channel):
    """Takes messages, or does not."""

    def __init__(self, name: str, error: str | None = None) -> None:
        self.name, self.error = name, error
        self.minimum = Severity.INFO
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        if self.error:
            raise DeliveryFailed(self.error)
        self.sent.append(message)


async def test_status_counts_incidents_messages_and_pauses(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, "trend")
    until = at(proxy, UNTIL)
    body = {"reason": "holiday", "until": until}
    await http.post(f"/schedule/disable/{DAILY}", json=body)
    await proxy.time.pause(5)

    data = (await http.get("/schedule/status")).json()["data"]
    assert data["incidents"] == {
        "open": 1,
        "acknowledged": 0,
        "messages_waiting": 1,
        "oldest_message_seconds": 5.0,
        "messages_given_up": 0,
    }
    alert = data["scheduled_alerts"][0]
    assert (alert["paused_until"], alert["pause_reason"]) == (until, "holiday")
    assert data["scheduled_alerts"][1]["paused_until"] is None


async def test_status_is_answered_while_the_store_cannot_be_read(
    proxy: Proxy, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def live(_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(MemoryIncidents, "live", live)
    answer = await http.get("/schedule/status")

    assert (answer.status_code, answer.json()["data"]["incidents"]) == (200, None)


async def test_a_test_message_goes_to_every_channel(proxy: Proxy, http: httpx.AsyncClient) -> None:
    mail = PastNotification("mail")
    proxy.channels += [mail, PastNotification("chat", "HTTP 500")]

    answer = (await http.post("/admin/test-notification")).json()
    assert answer["success"] is False
    assert answer["data"] == [
        {"channel": "mail", "ok": True, "error": None},
        {"channel": "chat", "ok": False, "error": "HTTP 500"},
    ]
    assert "test" in mail.sent[0].text


async def test_a_test_without_channels_is_a_conflict(http: httpx.AsyncClient) -> None:
    answer = await http.post("/admin/test-notification")

    assert (answer.status_code, answer.json()["code"]) == (409, "no_channels")
