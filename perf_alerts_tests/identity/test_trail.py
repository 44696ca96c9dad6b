"""Refused callers in the audit: counted, bounded, and never in anybody's way."""

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.audit import ALL, AuditRow
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.identity.trail import _MAXIMUM_WAITING
from perf_alerts_tests.server.gated import (
    HEADER,
    KEYS,
    Gated,
    Hands,
    bearer,
    gated,
    key,
    settings_of,
)


def rows(gate: Gated) -> list[tuple[str, str, str, object]]:
    return [
        (row.actor, row.action, row.target, counted(row))
        for row in reversed(gate.stores.audit.entries(limit=500).rows)
    ]


def counted(row: AuditRow) -> object:
    return row.after.get("count") if isinstance(row.after, Mapping) else None


async def test_logins_and_failures_are_audited_with_one_row_a_minute_for_each_kind(
    gate: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    await gate.login("viewer")
    for _ in range(15):
        await gate.http.get("/auth/me", headers={HEADER: "wrong"})
        await gate.http.get("/auth/me", headers=bearer("a.b.c"))
        await gate.http.post("/auth/login", json={"api_key": "wrong"})
    await gate.identity.trail.flush()
    gate.clock.pass_by(seconds=60)
    await gate.identity.trail.flush()
    await gate.http.get("/auth/me", headers={HEADER: "wrong"})
    await gate.identity.trail.flush()

    assert [(actor, action, count) for actor, action, _, count in rows(gate)] == [
        ("viewer", "login", None),
        ("unknown", "wrong_key", 15),
        ("unknown", "wrong_token", 15),
        ("unknown", "failed_login", 15),
        ("unknown", "wrong_key", 1),
    ]
    lines = [record.message for record in caplog.records if "wrong_key" in record.message]
    assert len(lines) == 3
    assert "15 in all" in lines[1]


async def test_a_refusal_names_who_what_and_where(gate: Gated) -> None:
    for _ in range(3):
        headers = key("viewer") | {"X-Request-ID": "mine-1"}
        await gate.http.post("/probe/trigger/x", headers=headers)
    await gate.identity.trail.flush(over=True)
    (row,) = gate.stores.audit.entries().rows

    assert (row.actor, row.action, row.target) == ("viewer", "refused", "alert:trigger_manual")
    assert row.after == {
        "method": "POST",
        "path": "/api/performance-alerts/probe/trigger/x",
        "count": 3,
    }
    assert (row.outcome, row.address, row.request_id) == ("failed", "127.0.0.1", "mine-1")
    assert len(row.server_request_id) == 32


async def test_a_store_that_is_down_delays_no_answer_and_loses_no_count(
    gate: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(rows: object) -> list[int]:
        raise StoreUnavailable("down")

    monkeypatch.setattr(gate.stores.audit, "count", down)
    for _ in range(3):
        assert (await gate.http.get("/auth/me", headers={HEADER: "x"})).status_code == 401
        await gate.identity.trail.flush()
        gate.clock.pass_by(seconds=61)
    monkeypatch.undo()
    await gate.identity.trail.flush()

    assert rows(gate) == [("unknown", "wrong_key", "invalid_credentials", 3)]


async def test_what_waits_is_written_at_the_stop(control_engine: Engine, tmp_path: Path) -> None:
    async with gated(settings_of(tmp_path), control_engine) as gate:
        for _ in range(4):
            await gate.http.get("/auth/me", headers={HEADER: "x"})

    assert [count for *_, count in rows(gate)] == [4]


async def test_many_addresses_do_not_fill_the_memory_or_the_audit(
    gate: Gated, caplog: pytest.LogCaptureFixture
) -> None:
    trail, clock = gate.identity.trail, Hands()
    for number in range(_MAXIMUM_WAITING + 50):
        scope = {"client": (f"192.0.{number // 256}.{number % 256}", 1), "state": {}}
        trail.note(scope, "wrong_key", "invalid_credentials", at=clock())
    with caplog.at_level(logging.WARNING):
        await trail.flush()

    assert "refusals that could not be audited one by one: 50" in caplog.text
    found = list(gate.stores.audit.every(ALL))
    assert len(found) == _MAXIMUM_WAITING


async def test_a_row_has_our_own_request_id_beside_the_callers(gate: Gated) -> None:
    sent = {"X-Request-ID": "chosen-by-the-caller", "X-Server-Request-ID": "f" * 32}
    first = await gate.http.post("/auth/login", json={"api_key": KEYS["viewer"]}, headers=sent)
    second = await gate.http.get("/auth/me")
    (row,) = gate.stores.audit.entries().rows

    assert first.headers["x-request-id"] == row.request_id == "chosen-by-the-caller"
    assert first.headers["x-server-request-id"] == row.server_request_id != "f" * 32
    assert second.headers["x-request-id"] == second.headers["x-server-request-id"]


async def test_a_wrong_credential_is_answered_late_and_a_right_one_at_once(gate: Gated) -> None:
    await gate.http.get("/auth/me", headers=key("viewer"))
    await gate.login("viewer")
    assert gate.clock.paused == []
    for _ in range(15):
        last = await gate.http.get("/auth/me", headers={HEADER: "wrong"})

    assert gate.clock.paused == [0.5] * 10
    assert last.status_code == 429
