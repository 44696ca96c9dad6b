"""What a start of the proxy does for identity and control."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.audit import AuditOutcome
from perf_alerts_dagster.core.errors import SettingsError, StoreUnavailable
from perf_alerts_dagster.identity import keys
from perf_alerts_dagster.identity.store import identity_stores
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_tests.server.gated import (
    HEADER,
    NOON,
    Hands,
    bearer,
    gated,
    settings_of,
)
from perf_alerts_tests.storage.changes import change

NO_KEYS = {f"ALERT_{role}_API_KEY": "" for role in ("VIEWER", "OPERATOR", "ADMIN", "MASTER")}


async def test_a_start_closes_what_a_crash_left_open_and_says_so(
    control_engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit = identity_stores(control_engine).audit
    audit.intent(change(at=NOON - timedelta(hours=1)))
    audit.intent(change(at=NOON))

    async with gated(settings_of(tmp_path), control_engine):
        found = [row.outcome for row in audit.entries().rows]

    assert found == [AuditOutcome.OPEN, AuditOutcome.UNKNOWN]
    assert "unknown in the audit: 1" in caplog.text


async def test_a_start_forgets_revoked_tokens_that_have_run_out(
    control_engine: Engine, tmp_path: Path
) -> None:
    sessions = identity_stores(control_engine).sessions
    sessions.end("old", NOON, change())
    sessions.end("new", NOON + timedelta(seconds=1), change())

    async with gated(settings_of(tmp_path), control_engine):
        assert [sessions.state(one)[0] for one in ("old", "new")] == [False, True]


async def test_the_key_of_the_first_start_opens_the_door_also_after_a_restart(
    control_engine: Engine, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, ALERT_JWT_SECRET="", **NO_KEYS)
    made = keys.first_admin_key(settings) or ""
    async with gated(settings, control_engine) as gate:
        answer = await gate.http.post("/auth/login", json={"api_key": made})
        token = answer.json()["access_token"]
    async with gated(settings, control_engine, Hands(NOON + timedelta(hours=1))) as gate:
        by_key = await gate.http.get("/auth/me", headers={HEADER: made})
        by_token = await gate.http.get("/auth/me", headers=bearer(token))

    assert by_key.json()["permissions"] == by_token.json()["permissions"]
    assert by_token.json()["user_id"] == "admin"


async def test_without_any_key_the_proxy_does_not_start(
    control_engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="ALERT_ADMIN_API_KEY"):
        async with gated(settings_of(tmp_path, **NO_KEYS), control_engine):
            pytest.fail("it started")


async def test_without_its_store_the_proxy_does_not_start(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/missing.db")
    with pytest.raises(StoreUnavailable):
        async with gated(settings_of(tmp_path), engine):
            pytest.fail("it started")
    engine.dispose()
