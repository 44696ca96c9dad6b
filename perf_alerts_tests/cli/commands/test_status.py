"""`perf-alerts status` over a real store and Dagster's own storage."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster._core.instance.ref import InstanceRef

from perf_alerts_dagster.bootstrap.notifications import open_incidents
from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.cli import output
from perf_alerts_dagster.cli.commands import status
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.scheduler.port import Pause
from perf_alerts_dagster.scheduler.sql import SqlSchedulerStore
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.stack.dagster_home import prepare_home
from perf_alerts_tests.incidents.incident_desk import DAILY, breach, event, judged

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ALERT_TIMEZONE", "Asia/Tokyo")
    monkeypatch.setattr(output.OUT, "width", 80)
    return lambda *words: CliRunner().invoke(cli, ["status", *words])


def files(folder: Path) -> dict[str, bytes]:
    """What is in a folder, but for the files that SQLite makes while it reads."""
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def test_without_a_state_folder_it_says_so_and_makes_none(run: Run, tmp_path: Path) -> None:
    found = run()

    assert found.exit_code == 1
    text = " ".join(found.output.split())
    assert "no stack is running here: `perf-alerts up`" in text
    assert "perf-alerts migrate" in text
    assert "nothing was executed yet" in text
    assert list(tmp_path.iterdir()) == []


def a_run(settings: Any, outcome: str, **tags: str) -> str:
    """A finished run of the daily check in Dagster's storage."""
    prepare_home(settings)
    home = settings.state_dir / "dagster_home"
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance:
        made = instance.create_run_for_job(
            dg.GraphDefinition(name=DAILY, node_defs=[]).to_job(),
            tags={f"perf_alerts/{name}": value for name, value in tags.items()},
        )
        instance.report_run_failed(made) if outcome == "failure" else instance.add_run_tags(
            made.run_id, {"perf_alerts/outcome": outcome}
        )
        return made.run_id


def test_it_says_what_is_open_what_was_sent_and_what_was_not_judged(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_NOTIFY_URLS", "json://127.0.0.1:9/hook")
    monkeypatch.setenv("ALERT_NOTIFY_ALLOWED_HOSTS", "127.0.0.1")
    settings, now = load_settings(), datetime.now(UTC)
    migrate_store(settings)
    store = open_store(store_url(settings))
    desk = open_incidents(settings, store.engine)
    trend, carry = event(severity=Severity.CRITICAL), breach(strategy="carry")
    store.record(judged(trend, carry), watermark=None)
    desk.lifecycle.apply_judgements(DAILY, run_id="run", now=now - timedelta(hours=2))
    (row,) = desk.outbox.claim(now, "postman", timedelta(seconds=60))
    assert desk.outbox.mark_sent(row.id, row.fence, now - timedelta(hours=2))
    pause = Pause(alert="weekly_stability_check", by="ann", since=now)
    SqlSchedulerStore(store.engine).keep_pause(pause)
    store.close()
    run_id = a_run(settings, "alerts", note="new_ml: 40 of 756 rows", as_of="2026-01-05")
    before = files(tmp_path)

    found, facts = run(), json.loads(run("--json").output)

    assert files(tmp_path) == before
    assert found.exit_code == 1
    assert max(map(len, found.output.splitlines())) <= 80
    text = " ".join(found.output.split())
    assert "no stack is running here: `perf-alerts up`" in text
    assert "JST" in text
    assert "open events: 1 critical, 1 warning" in text
    assert f"2 h ago, to {row.channel}: [CRITICAL]" in text
    assert "not judged: new_ml: 40 of 756 rows" in text
    assert facts["events"] == {"open": {"critical": 1, "warning": 1}, "acknowledged": 0}
    assert facts["last_message"]["at"].endswith("Z")
    (daily, *_) = facts["scheduled_alerts"]
    assert (daily["run_id"], daily["as_of"]) == (run_id, "2026-01-05")
    assert daily["next_run"].endswith("T08:00:00Z")
    assert facts["stack_running"] is False


def test_what_was_not_judged_is_at_most_five_short_lines(run: Run) -> None:
    settings = load_settings()
    migrate_store(settings)
    names = [f"s{n}: 40 of 756 rows; watched only for data and the drawdown" for n in range(5)]
    a_run(settings, "insufficient_data", note=" | ".join([*names, "and 7 more"]))

    lines = [line for line in run().output.splitlines() if line.startswith("not judged: ")]

    assert lines == [
        *(f"not judged: s{n}: 40 of 756 rows" for n in range(4)),
        "not judged: and 8 more",
    ]
    known = json.loads(run("--json").output)["not_judged"]
    assert known == [*names, "and 7 more"]


def test_few_that_were_not_judged_are_all_named(run: Run) -> None:
    settings = load_settings()
    migrate_store(settings)
    a_run(settings, "insufficient_data", note=" | ".join(f"s{n}: late" for n in range(6)))

    lines = [line for line in run().output.splitlines() if line.startswith("not judged: ")]
    assert lines[-1] == "not judged: and 2 more"
    assert len(lines) == 5


def test_a_failed_run_says_why(run: Run) -> None:
    settings = load_settings()
    migrate_store(settings)
    a_run(settings, "failure", error="the source is away")

    text = " ".join(run().output.split())

    assert "not judged: daily_pnl_check: the last run failure: the source is away" in text


def test_what_runs_and_is_answered_is_no_finding(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, now = load_settings(), datetime.now(UTC)
    migrate_store(settings)
    a_run(settings, "ok")
    beating = status._scheduler

    def scheduler(*args: Any) -> Any:
        found = beating(*args)
        assert found is not None
        return type(found)(at=now, heartbeat_at=now, settings=found.settings, alerts=found.alerts)

    monkeypatch.setattr(status, "_scheduler", scheduler)
    found = run()

    assert found.exit_code == 0, found.output
    text = " ".join(found.output.split())
    assert "the scheduler runs, last sign of life just now" in text
    assert "open events: none" in text
    assert "no message has been delivered yet" in text
