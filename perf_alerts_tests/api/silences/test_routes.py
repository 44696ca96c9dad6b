"""Silences: what one would mute, what matches nothing, and why one ended."""

from typing import Any

import httpx
import pytest

from perf_alerts_tests.pages.admin_desk import desk
from perf_alerts_tests.server.apps import serving


async def preview(http: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    answer = await http.get("/silences/preview", params=query)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_a_preview_lists_what_would_be_muted_and_changes_nothing() -> None:
    proxy = desk(20)
    event = next(iter(proxy.incidents.event_rows))
    async with serving(proxy) as http:
        whole = await preview(http, strategy="trend")
        rule = await preview(http, strategy="trend", rule="rolling_sharpe")
        by_event = await preview(http, event=event)
        severe = await preview(http, severity="critical", alert="daily_pnl_check")
        other = await preview(http, strategy="carry")
        listed = (await http.get("/silences")).json()["data"]

    assert [whole["muted"], by_event["muted"], severe["muted"], other["muted"]] == [2, 2, 1, 0]
    assert [(each["rule"], each["strategy"]) for each in rule["incidents"]] == [
        ("rolling_sharpe", "trend")
    ]
    assert {each["warning"] for each in (whole, rule, by_event, severe, other)} == {None}
    assert (listed, len(proxy.incidents.audit)) == ([], 0)


@pytest.mark.parametrize(
    ("matchers", "warning"),
    [
        ({"strategy": "trendd"}, "no strategy or group of this name was ever judged"),
        ({"rule": "drawdowns"}, "no rule has this id"),
        ({"event": "0" * 24}, "no event has this id"),
        (
            {"strategy": "x", "rule": "y"},
            "no strategy or group of this name was ever judged; no rule has this id",
        ),
    ],
)
async def test_a_silence_that_matches_nothing_known_is_accepted_with_a_warning(
    matchers: dict[str, str], warning: str
) -> None:
    proxy = desk(20)
    body = {"matchers": matchers, "ends_at": "2026-02-02T00:00:00Z", "reason": "r"}
    async with serving(proxy) as http:
        made = await http.post("/silences", json=body)
        listed = (await http.get("/silences")).json()["data"]
        previewed = await preview(http, **matchers)

    assert made.status_code == 201
    assert made.json()["data"]["warning"] == f"matches nothing: {warning}"
    assert listed == [made.json()["data"]]
    assert previewed["warning"] == f"matches nothing: {warning}"


@pytest.mark.parametrize(
    "query", [{}, {"severity": "bad"}, {"event": "x"}, {"alert": "nope"}, {"strategy": ""}]
)
async def test_a_preview_of_no_silence_is_refused(query: dict[str, str]) -> None:
    async with serving(desk(0)) as http:
        assert (await http.get("/silences/preview", params=query)).status_code in (404, 422)


async def test_why_a_silence_ended_is_audited_and_it_stays_in_the_list_of_all() -> None:
    proxy = desk(20)
    body = {"matchers": {"strategy": "trend"}, "ends_at": "2026-02-02T00:00:00Z", "reason": "r"}
    async with serving(proxy) as http:
        id_ = (await http.post("/silences", json=body)).json()["data"]["id"]
        await http.delete(f"/silences/{id_}", params={"reason": "fixed"})
        listed = (await http.get("/silences", params={"ended": "true"})).json()["data"]

    assert [(each["id"], each["active"]) for each in listed] == [(id_, False)]
    assert [each.after for each in proxy.incidents.audit if each.action == "end_silence"] == [
        {"reason": "fixed"}
    ]
