"""What `perf-alerts check` says of the false-alarm budget."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from perf_alerts_dagster.bootstrap import ledger
from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.cli import output
from perf_alerts_dagster.cli.commands.check import shadow_lines
from perf_alerts_dagster.cli.commands.record import read_source
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_tests.judged_desk import judged_desk

Run = Callable[..., str]
TODAY = datetime.now(UTC).date()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A desk of `carry`, `trend` and `young`, of which the last has no backtest."""
    days = np.busday_offset(np.datetime64(TODAY) - 560, np.arange(400), roll="forward")
    rows = ["strategy,date,return,segment"]
    for seed, name in enumerate(("carry", "trend", "young")):
        returns = np.random.default_rng(seed).normal(0.0005, 0.01, len(days))
        for place, (day, value) in enumerate(zip(days, returns, strict=True)):
            segment = "backtest" if place < 350 and name != "young" else "live"
            if name != "young" or place >= 380:
                rows.append(f"{name},{day},{value:.8f},{segment}")
    (tmp_path / "daily.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ALERT_RECORDS_URL", str(tmp_path / "daily.csv"))
    monkeypatch.setenv("ALERT_SESSION_CLOSE", "00:00")
    monkeypatch.setattr(output.OUT, "width", 80)
    monkeypatch.setattr(ledger, "_LIVES", 1_000)

    def invoke(*args: str) -> str:
        found = CliRunner().invoke(cli, ["check", *args])
        assert found.exit_code == 0, found.output
        assert max(map(len, found.stdout.splitlines())) <= 80
        return " ".join(found.stdout.split())

    return invoke


def test_it_says_what_the_budget_costs_and_sees_by_healthy_years_drawn_now(
    run: Run, tmp_path: Path
) -> None:
    text = run()

    assert "1 of 4 have no rate yet" in text
    expected = re.search(r"expect (\S+) warnings, (\S+) criticals, (\S+) limit messages", text)
    assert expected is not None
    assert float(expected[1]) == pytest.approx(0.3, rel=0.1)
    assert float(expected[2]) == pytest.approx(0.09, rel=0.2)
    assert re.search(r"a lost Sharpe of 2 is seen within a year with \S+ \(alone: \S+;", text)
    assert "mean over years in which nothing changes" in text
    # Nothing is stored.
    assert not (tmp_path / "state").exists()


def test_a_large_desk_is_counted_on_some_of_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_MAXIMUM_DRAWN", 2)
    text = run()

    assert "counted on 2 of 4 strategies and groups, evenly by name, and scaled to all" in text


def test_stored_healthy_years_are_not_drawn_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings()
    migrate_store(settings)
    engine = open_engine(store_url(settings))
    judged_desk(settings, engine, datetime.now(UTC))
    engine.dispose()
    monkeypatch.setattr(ledger, "_drawn", None)
    text = run()

    assert "2 of 4 have no rate yet" in text
    assert "expect 0.2 warnings, 0.06 criticals" in text


def test_with_the_documented_preset_no_budget_holds(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_RULE_PRESET", "documented")
    text = run()

    assert "no false-alarm budget holds" in text
    assert "expect " not in text


SHADOW = "strategy,date,return,expected_cost,model_version\n"


def _shadowed(folder: Path, monkeypatch: pytest.MonkeyPatch, *rows: str) -> None:
    """A desk of `carry` and `trend` whose live days begin on 5 January, with these shadow rows."""
    live = [f"{name},2026-01-{day:02d},0.01,live" for name in ("carry", "trend") for day in (5, 6)]
    (folder / "daily.csv").write_text("\n".join(["strategy,date,return,segment", *live]) + "\n")
    (folder / "shadow.csv").write_text(SHADOW + "".join(f"{row}\n" for row in rows))
    (folder / "benchmark.csv").write_text("date,return,strategy\n2026-01-05,0.01,carry\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ALERT_STATE_DIR", str(folder / "state"))
    monkeypatch.setenv("ALERT_RECORDS_URL", str(folder))
    monkeypatch.setattr(output.OUT, "width", 80)


def test_it_says_what_shadows_and_benchmarks_it_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _shadowed(
        tmp_path,
        monkeypatch,
        "trend,2026-01-02,0.1,,v1",
        "trend,2026-01-05,0.1,0.001,v2",
        "carry,2026-01-05,0.1,,",
    )

    assert list(shadow_lines(read_source(None, as_of=None))) == [
        "shadow: 2 of 2 strategies, 3 rows from 2026-01-02 to 2026-01-05, 2 of them on live dates; "
        "model versions: v1 and v2",
        "benchmark: 1 of 2 strategies",
    ]


def test_without_shadows_it_says_nothing_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _shadowed(tmp_path, monkeypatch)
    (tmp_path / "benchmark.csv").unlink()

    assert list(shadow_lines(read_source(None, as_of=None))) == []


def test_a_damaged_shadow_is_named_and_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _shadowed(tmp_path, monkeypatch, "trend,2026-01-05,0.1,-1,", "carry,2026-01-05,0.1,,v1")
    found = CliRunner().invoke(cli, ["check"])

    text = " ".join(found.stdout.split())
    assert found.exit_code == 1, found.output
    assert "newest session 2026-01-06, 1 with bad rows" in text
    assert (
        "shadow of trend: shadow.csv, row 2, column expected_cost: is negative (seen: '-1')" in text
    )
    assert "shadow: 1 of 2 strategies, 1 rows from 2026-01-05 to 2026-01-05" in text
