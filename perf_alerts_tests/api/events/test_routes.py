"""Events over REST: what one cause did, and one answer for all of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Status
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.suppression import Matchers, Silence
from perf_alerts_dagster.judging.evaluation import Evaluation
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, event, judged
from perf_alerts_tests.server.apps import Proxy, serving

UNTIL = timedelta(hours=1)
HEADLINE = "-15.0 % on Mon 5 Jan"


@pytest.fixture
def proxy() -> Proxy:
    return Proxy(ALERT_PUBLIC_URL="https://alerts.example")


@pytest.fixture
async def http(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(proxy) as client:
        yield client


def judge(proxy: Proxy, *found: Evaluation) -> None:
    """An execution in which these were found."""
    store = proxy.incidents
    run_id = f"run-{len(store.judgements)}"
    store.add_judgement(judged(*found, run_id=run_id))
    lifecycle = Lifecycle(store=store, settings=NotificationSettings(channels=("mail",)))
    lifecycle.apply_judgements(DAILY, run_id=run_id, now=proxy.time())


def bad_day(strategy: str = "trend", **changes: Any) -> tuple[Evaluation, Evaluation]:
    """One cause, two rules: the day, and the drawdown that it made."""
    parts = {"headline": HEADLINE, "owner": "vol-desk"}
    day = event(strategy=strategy, severity=Severity.CRITICAL, parts=parts, **changes)
    return day, breach(strategy=strategy)


def at(proxy: Proxy, span: timedelta = timedelta(0)) -> str:
    return (proxy.time() + span).strftime("%Y-%m-%dT%H:%M:%SZ")


async def listed(http: httpx.AsyncClient, **params: str) -> list[dict[str, Any]]:
    answer = await http.get("/events", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def path_of(http: httpx.AsyncClient) -> str:
    return f"/events/{(await listed(http))[0]['id']}"


async def test_what_one_cause_did_is_one_event(proxy: Proxy, http: httpx.AsyncClient) -> None:
    judge(proxy, *bad_day())

    (found,) = await listed(http)
    ids = [one.id for one in proxy.incidents.by_id.values()]
    shown = next(one for one in proxy.incidents.by_id.values() if one.rule == "daily_exceedance")
    assert sorted(found.pop("incident_ids")) == sorted(ids)
    assert found == {
        "id": shown.event_id,
        "leader": "trend",
        "headline": HEADLINE,
        "status": "open",
        "severity": "critical",
        "first_session": "2026-01-05",
        "last_session": "2026-01-05",
        "opened_at": at(proxy),
        "escalation_step": 0,
        "next_escalation_at": at(proxy, timedelta(minutes=15)),
        "outcome": None,
        "acknowledged": None,
        "owner": "vol-desk",
        "rule": "daily_exceedance",
        "value": -0.3,
        "limit": -0.2,
        "silenced_until": None,
        "forgotten": False,
        "link": f"https://alerts.example/incidents/{shown.id}",
    }


async def test_an_event_holds_its_incidents_their_messages_and_one_timeline(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, *bad_day())
    await proxy.time.pause(60)
    judge(proxy, *bad_day())

    data = (await http.get(await path_of(http))).json()["data"]
    assert [(one["rule"], one["value"], one["limit"]) for one in data["incidents"]] == [
        (one.rule, one.value, one.limit)
        for one in sorted(proxy.incidents.by_id.values(), key=lambda one: (one.opened_at, one.id))
    ]
    assert {one["event_id"] for one in data["incidents"]} == {data["id"]}
    assert all(one["message"] for one in data["incidents"])
    times = [one["at"] for one in data["timeline"]]
    assert times == sorted(times)
    assert {(one["rule"], one["what"]) for one in data["timeline"]} >= {
        ("daily_exceedance", "opened"),
        ("max_drawdown", "opened"),
        ("max_drawdown", "breached"),
    }
    (delivery,) = data["deliveries"]
    assert (delivery["channel"], delivery["reason"], delivery["state"]) == (
        "mail",
        "opened",
        "pending",
    )
    assert sorted(delivery["incident_ids"]) == sorted(data["incident_ids"])
    assert data["silences"] == []


async def test_events_are_filtered_and_paged(proxy: Proxy, http: httpx.AsyncClient) -> None:
    judge(proxy, *bad_day("a"))
    judge(proxy, breach(strategy="b"))
    judge(proxy, breach(strategy="c"))

    assert [one["leader"] for one in await listed(http, severity="critical")] == ["a"]
    assert [one["leader"] for one in await listed(http, leader="b", status="open")] == ["b"]
    assert await listed(http, status="resolved") == []
    page = (await http.get("/events", params={"limit": "2"})).json()
    rest = await listed(http, limit="2", cursor=page["next_cursor"])
    assert sorted(one["leader"] for one in page["data"] + rest) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "params",
    [
        {"status": "closed"},
        {"severity": "bad"},
        {"leader": ""},
        {"cursor": "x"},
        {"cursor": "YWJj"},
        {"limit": "0"},
    ],
)
async def test_filters_of_events_that_mean_nothing_are_refused(
    proxy: Proxy, http: httpx.AsyncClient, params: dict[str, str]
) -> None:
    judge(proxy, breach())
    answer = await http.get("/events", params=params)

    assert answer.status_code == 422, answer.text
    assert next(iter(params)) in answer.json()["detail"]


async def test_one_acknowledgement_is_for_all_of_an_event(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, *bad_day())
    until = at(proxy, UNTIL)
    path = await path_of(http)
    answer = await http.post(
        f"{path}/acknowledge",
        json={"comment": "on it", "until": until},
        headers={"X-Role": "operator"},
    )

    data = answer.json()["data"]
    assert answer.status_code == 200
    assert data["status"] == "acknowledged"
    assert data["acknowledged"] == {
        "by": "operator",
        "at": at(proxy),
        "comment": "on it",
        "until": until,
    }
    assert {one["status"] for one in data["incidents"]} == {"acknowledged"}
    assert data["next_escalation_at"] is None
    (change,) = proxy.incidents.audit
    assert (change.action, change.target) == ("acknowledge", path.removeprefix("/"))
    assert (change.actor, change.request_id) == ("operator", "req-1")


async def test_one_incident_of_an_event_is_answered_by_itself(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, *bad_day())
    (found,) = await listed(http)
    first, second = found["incident_ids"]
    assert (await http.post(f"/incidents/{first}/acknowledge")).status_code == 200
    data = (await http.get(f"/events/{found['id']}")).json()["data"]

    statuses = {one["id"]: one["status"] for one in data["incidents"]}
    assert statuses == {first: "acknowledged", second: "open"}
    assert data["status"] == "open"
    assert (await http.post(f"/events/{found['id']}/acknowledge")).status_code == 200
    assert (await listed(http))[0]["status"] == "acknowledged"


async def test_who_has_answered_an_event_already_is_named_to_the_next(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, *bad_day())
    path = await path_of(http)
    assert (await http.post(f"{path}/acknowledge")).status_code == 200
    again = await http.post(f"{path}/acknowledge")
    assert (await http.post(f"{path}/resolve", json={"outcome": "known"})).status_code == 200
    late = [
        await http.post(f"{path}/acknowledge"),
        await http.post(f"{path}/resolve", json={"outcome": "known"}),
    ]

    done = "admin acknowledged it on 2026-01-30 at 18:00 UTC; nothing more to do"
    assert (again.status_code, again.json()["code"]) == (409, "refused")
    assert again.json()["detail"] == done
    for answer in late:
        assert answer.status_code == 409
        assert answer.json()["detail"] == done.replace("acknowledged", "resolved")
    assert len(proxy.incidents.audit) == 2


async def test_a_verdict_resolves_all_of_an_event(proxy: Proxy, http: httpx.AsyncClient) -> None:
    judge(proxy, *bad_day())
    path = await path_of(http)
    for wrong in ({}, {"outcome": "recovered"}, {"outcome": "true", "x": "y"}):
        assert (await http.post(f"{path}/resolve", json=wrong)).status_code == 422
    answer = await http.post(f"{path}/resolve", json={"outcome": "data_error", "comment": "price"})

    data = answer.json()["data"]
    assert (data["status"], data["outcome"]) == ("resolved", "data_error")
    assert {one["resolved"]["comment"] for one in data["incidents"]} == {"price"}
    assert all(one.is_resolved for one in proxy.incidents.by_id.values())


async def test_a_silence_of_an_event_mutes_it_and_what_joins_it(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, event(severity=Severity.CRITICAL))
    path = await path_of(http)
    body = {"ends_at": at(proxy, UNTIL), "reason": "known"}
    made = await http.post(f"{path}/silence", json=body, headers={"X-Role": "operator"})
    judge(proxy, breach())

    data = made.json()["data"]
    assert made.status_code == 201
    assert data["matchers"] == {
        "strategy": None,
        "rule": None,
        "alert": None,
        "severity": None,
        "event": path.rpartition("/")[2],
        "up_to": "critical",
    }
    assert (data["author"], data["reason"], data["active"]) == ("operator", "known", True)
    assert (await http.get(path)).json()["data"]["silences"] == [data]
    waiting = [item for row in proxy.incidents.rows.values() for item in row.items]
    assert [item.dedup_key for item in waiting] == ["trend|daily_exceedance|-|2026-01-05"]
    assert proxy.incidents.audit[-1].target == f"silences/{data['id']}"


async def test_only_silences_that_mute_an_event_are_shown_with_it(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, *bad_day())
    for name, matchers, after in (
        ("a" * 8, Matchers(strategy="trend"), timedelta(0)),
        ("b" * 8, Matchers(strategy="other"), timedelta(0)),
        ("c" * 8, Matchers(strategy="trend"), UNTIL),
    ):
        proxy.incidents.add_silence(
            Silence(
                id=name,
                matchers=matchers,
                starts_at=proxy.time() + after,
                ends_at=proxy.time() + 2 * UNTIL,
                author="ann",
                reason="x",
            )
        )

    shown = (await http.get(await path_of(http))).json()["data"]["silences"]
    assert [one["id"] for one in shown] == ["a" * 8]


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("ends_at", {"reason": "x"}),
        ("ends_at", {"reason": "x", "ends_at": None}),
        ("ends_at", {"reason": "x", "ends_at": "2020-01-01T00:00:00Z"}),
        ("reason", {"ends_at": "2026-02-01T00:00:00Z"}),
        ("reason", {"ends_at": "2026-02-01T00:00:00Z", "reason": " "}),
        ("known", {"ends_at": "2026-02-01T00:00:00Z", "reason": "x", "author": "y"}),
    ],
)
async def test_a_silence_of_an_event_that_is_wrong_is_refused_by_its_field(
    proxy: Proxy, http: httpx.AsyncClient, field: str, body: dict[str, Any]
) -> None:
    judge(proxy, breach())
    answer = await http.post(f"{await path_of(http)}/silence", json=body)

    assert answer.status_code == 422, answer.text
    assert field in answer.json()["detail"]
    assert proxy.incidents.silence_rows == {}


async def test_an_event_that_is_over_is_not_silenced(proxy: Proxy, http: httpx.AsyncClient) -> None:
    judge(proxy, breach())
    path = await path_of(http)
    await http.post(f"{path}/resolve", json={"outcome": "true"})
    body = {"ends_at": at(proxy, UNTIL), "reason": "x"}
    answer = await http.post(f"{path}/silence", json=body)

    assert (answer.status_code, answer.json()["code"]) == (409, "refused")
    assert "nothing more to do" in answer.json()["detail"]
    assert proxy.incidents.silence_rows == {}


async def test_a_silence_takes_an_event_as_its_matcher(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, *bad_day())
    event_id = (await listed(http))[0]["id"]
    answer = await http.post(
        "/silences",
        json={
            "matchers": {"event": event_id, "severity": "critical"},
            "ends_at": at(proxy, UNTIL),
            "reason": "x",
        },
    )

    assert answer.status_code == 201
    (silence,) = proxy.incidents.silence_rows.values()
    assert silence.matchers == Matchers(event=event_id, severity=Severity.CRITICAL)
    muted = {one.rule for one in proxy.incidents.by_id.values() if silence.mutes(one, proxy.time())}
    assert muted == {"daily_exceedance"}


@pytest.mark.parametrize("wrong", ["0" * 24, "abcdef12"])
async def test_an_event_that_is_not_there_is_unknown(
    proxy: Proxy, http: httpx.AsyncClient, wrong: str
) -> None:
    body = {"ends_at": at(proxy, UNTIL), "reason": "x"}
    for answer in (
        await http.get(f"/events/{wrong}"),
        await http.post(f"/events/{wrong}/acknowledge"),
        await http.post(f"/events/{wrong}/resolve", json={"outcome": "true"}),
        await http.post(f"/events/{wrong}/silence", json=body),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_event")


@pytest.mark.parametrize("wrong", ["%00", "NOPE", "..%2fincidents", "short", "g" * 24, "a" * 65])
async def test_an_id_of_another_form_is_refused(http: httpx.AsyncClient, wrong: str) -> None:
    for answer in (
        await http.get(f"/events/{wrong}"),
        await http.post(f"/events/{wrong}/acknowledge"),
    ):
        assert answer.status_code in (404, 422)
        assert wrong not in answer.text


async def test_an_incident_shows_the_events_id_and_escalation(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, *bad_day())
    store = proxy.incidents
    lifecycle = Lifecycle(
        store=store,
        settings=NotificationSettings(channels=("mail",), escalation_channels=("phone",)),
    )
    (row,) = store.claim(proxy.time(), "w", UNTIL)
    store.mark_sent(row.id, row.fence, proxy.time())
    await proxy.time.pause(16 * 60)
    lifecycle.sweep(proxy.time())
    (found,) = await listed(http)
    incidents = (await http.get("/incidents")).json()["data"]
    single = [(await http.get(f"/incidents/{one['id']}")).json()["data"] for one in incidents]

    assert found["escalation_step"] == 1
    assert [one["escalation_step"] for one in (*incidents, *single)] == [1] * 4
    assert {one["event_id"] for one in (*incidents, *single)} == {found["id"]}


async def test_an_incident_that_was_over_before_there_were_events_has_none(
    proxy: Proxy, http: httpx.AsyncClient
) -> None:
    judge(proxy, breach())
    store = proxy.incidents
    ((incident_id, old),) = store.by_id.items()
    store.by_id[incident_id] = replace(old, event_id="", status=Status.RESOLVED)
    store.event_rows.clear()

    (one,) = (await http.get("/incidents")).json()["data"]
    assert (one["event_id"], one["escalation_step"]) == (None, 0)
    assert (await http.get(f"/incidents/{incident_id}")).json()["data"]["event_id"] is None
    assert await listed(http) == []


async def test_metrics_count_the_open_events_of_all_pages(
    proxy: Proxy, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perf_alerts_dagster.api.operations.routes._AT_ONCE", 2)
    judge(proxy, *bad_day("a"), *(breach(strategy=f"s{n}") for n in range(4)))
    judge(proxy, breach(strategy="z"))
    answered = (await listed(http, leader="z"))[0]["id"]
    assert (await http.post(f"/events/{answered}/acknowledge")).status_code == 200
    text = (await http.get("/metrics")).text

    assert 'perf_alerts_events{severity="warning"} 4.0' in text
    assert 'perf_alerts_events{severity="critical"} 1.0' in text
