"""The audit, page by page."""

from datetime import timedelta

import pytest

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_tests.server.gated import NOON, Gated, code, key
from perf_alerts_tests.storage.changes import change


async def test_a_change_is_shown_with_all_its_fields(gate: Gated) -> None:
    asked = change(at=NOON, before={"enabled": True}, after={"reason": "<b>é</b>"})
    row = gate.stores.audit.intent(asked)
    gate.stores.audit.outcome(row, AuditOutcome.DONE)

    answer = await gate.http.get("/admin/audit", headers=key("admin"))

    assert answer.json() == {
        "success": True,
        "data": [
            {
                "id": row,
                "at": "2026-01-30T12:00:00Z",
                "actor": "operator:ci-bot",
                "key_id": "0123456789abcdef",
                "address": "127.0.0.1",
                "action": "trigger",
                "target": "daily_pnl_check",
                "before": {"enabled": True},
                "after": {"reason": "<b>é</b>"},
                "outcome": "done",
                "request_id": "r1",
                "server_request_id": "",
            }
        ],
        "next_cursor": None,
        "timestamp": "2026-01-30T12:00:00Z",
    }


async def test_pages_follow_one_another_to_the_end(gate: Gated) -> None:
    ids = [gate.stores.audit.intent(change()) for _ in range(5)]
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(3):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        found = (await gate.http.get("/admin/audit", headers=key("admin"), params=params)).json()
        seen += [row["id"] for row in found["data"]]
        cursor = found["next_cursor"]

    assert seen == ids[::-1]
    assert cursor is None


async def test_since_leaves_out_what_was_before(gate: Gated) -> None:
    gate.stores.audit.intent(change(at=NOON - timedelta(seconds=1)))
    row = gate.stores.audit.intent(change(at=NOON))

    params = {"since": "2026-01-30T13:00:00+01:00"}
    found = (await gate.http.get("/admin/audit", headers=key("admin"), params=params)).json()

    assert [one["id"] for one in found["data"]] == [row]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=1e2",
        "limit=1_0",
        "limit=%2010",
        "limit=-1",
        "limit=NaN",
        "limit=1&limit=2",
        "since=yesterday",
        "since=2026-01-30",
        "since=2026-13-30T00:00:00Z",
        "since=2026-01-30T00:00:00",
        "since=0001-01-01T00:00:00%2B14:00",
        "cursor=x",
        "cursor=MA",
        "cursor=LTE",
        "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5",
        "cursor=%00",
        "cursor=" + "A" * 600,
    ],
)
async def test_other_questions_are_refused(gate: Gated, query: str) -> None:
    answer = await gate.http.get(f"/admin/audit?{query}", headers=key("admin"))

    assert code(answer) == (422, "validation")


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_only_admins_read_it(gate: Gated, role: str) -> None:
    answer = await gate.http.get("/admin/audit?limit=no", headers=key(role))

    assert code(answer) == (403, "insufficient_permission")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_an_export_has_all_rows_that_fit(gate: Gated, form: str) -> None:
    for minute in range(1200):
        gate.stores.audit.intent(change(at=NOON + timedelta(minutes=minute)))
    gate.stores.audit.intent(change(at=NOON, actor="somebody"))
    params = {
        "format": form,
        "since": "2026-01-30T12:01:00Z",
        "until": "2026-01-31T07:59:00Z",
        "actor": "operator:ci-bot",
        "action": "trigger",
        "limit": "5",
    }
    answer = await gate.http.get("/admin/audit", headers=key("admin"), params=params)
    other = await gate.http.get(
        "/admin/audit", headers=key("admin"), params=params | {"action": "no"}
    )

    assert answer.headers["content-disposition"] == f'attachment; filename="audit.{form}"'
    assert len(answer.text.splitlines()) == 1198 + (form == "csv")
    assert len(other.text.splitlines()) == (form == "csv")


async def test_an_export_from_a_store_that_is_down_is_a_problem(
    gate: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: object, **kwargs: object) -> None:
        raise StoreUnavailable("down")

    monkeypatch.setattr(gate.stores.audit, "entries", down)
    for form in ("jsonl", "csv"):
        answer = await gate.http.get(f"/admin/audit?format={form}", headers=key("admin"))
        assert code(answer) == (503, "storage_unavailable")


async def test_the_export_is_for_administrators(gate: Gated) -> None:
    answer = await gate.http.get("/admin/audit?format=csv", headers=key("operator"))

    assert code(answer) == (403, "insufficient_permission")
