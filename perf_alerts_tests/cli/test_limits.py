"""`perf-alerts limits suggest`: proposed mandates, which a person applies."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from perf_alerts_dagster.cli import output
from perf_alerts_dagster.cli.commands.limits import _calibrations, _lines
from perf_alerts_dagster.cli.commands.record import read_source
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.builders import a_record, noise, weekdays
from perf_alerts_tests.judging.rules.test_drawdown import CALM, WILD

LONG = "a_strategy_with_a_name_that_is_long_" + 30 * "x"
HISTORIES = {
    "trend": (noise(900, seed=1), noise(60, seed=2), "active"),
    LONG: (noise(600, seed=3, sd=0.03), noise(60, seed=4), "active"),
    # It loses on three days of its backtest.
    "calm": (np.abs(noise(600, seed=5)) * np.r_[-1, -1, -1, np.ones(597)], noise(60), "active"),
    "young": (noise(100, seed=6), noise(60, seed=7), "active"),
    "bad": (noise(300, seed=8), np.array([*noise(59), np.nan]), "active"),
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lines = ["strategy,date,return,segment"]
    for name, (backtest, live, _) in HISTORIES.items():
        returns = np.r_[backtest, live]
        days = weekdays(1000)[-len(returns) :]
        for place, (day, value) in enumerate(zip(days, returns, strict=True)):
            segment = "backtest" if place < len(backtest) else "live"
            lines.append(f"{name},{day},{'' if np.isnan(value) else value},{segment}")
    (tmp_path / "daily.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def suggest(desk: Path, *more: str) -> Result:
    found = CliRunner().invoke(
        cli, ["limits", "suggest", "--records", str(desk / "daily.csv"), *more]
    )
    assert found.exit_code == 0, (found.output, found.exception)
    return found


def test_the_file_is_accepted_as_it_is_and_the_printed_line_applies_it(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = suggest(desk, "--out", "my limits.json")
    command = found.stdout.splitlines()[-1]
    applied = subprocess.run(
        ["bash", "-c", f'{command} && printf %s "$ALERT_POLICY_LIMITS"'],
        capture_output=True,
        text=True,
        check=True,
        cwd=desk,
    ).stdout
    monkeypatch.setenv("ALERT_POLICY_LIMITS", applied)
    settings = load_settings()

    written = json.loads((desk / "my limits.json").read_text())
    assert settings.policy_limits == written
    assert set(written) == {"strategies"}
    assert set(written["strategies"]["trend"]) == {"drawdown", "daily_loss", "weekly_loss"}
    assert not (desk / "policy_limits.json").exists()
    assert not (desk / "state").exists()


def test_a_file_that_cannot_be_written_is_named_with_what_is_accepted(desk: Path) -> None:
    words = ["limits", "suggest", "--records", str(desk), "--out", "nowhere/limits.json"]
    found = CliRunner().invoke(cli, words)

    assert isinstance(found.exception, UsageError)
    assert str(found.exception) == (
        "--out is 'nowhere/limits.json'; accepted is a file that can be written "
        "(No such file or directory)"
    )


def test_a_strategy_without_a_line_is_listed_with_the_reason(desk: Path) -> None:
    found = suggest(desk)
    lines = found.stdout.splitlines()

    assert "young: too little data: it has no healthy years yet, see check" in lines
    assert "bad: its rows are faulty" in lines
    assert "calm: no daily_loss: its reference has too few losses to draw a line by" in lines
    written = json.loads((desk / "policy_limits.json").read_text())["strategies"]
    assert "drawdown" in written["calm"]
    assert "daily_loss" not in written["calm"]
    assert {"young", "bad"}.isdisjoint(written)


def test_the_table_fits_80_columns_and_says_how_it_is_computed(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.OUT, "width", 80)
    lines = suggest(desk).stdout.splitlines()

    # The line to apply is as long as the file's name.
    assert max(map(len, lines[:-1])) <= 80
    # A long name has a line of its own, above its numbers.
    below = lines[lines.index(LONG) + 1]
    assert below.startswith(" ")
    assert below.count("%") == 3
    assert "Pareto tail" in " ".join(lines)


def test_what_a_person_has_set_is_kept(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy: Mapping[str, Any] = {
        "default": {"weekly_loss": 0.2, "columns": {"leverage": {"max": 4}}},
        "strategies": {"trend": {"drawdown": 0.1, "daily_loss": None}, "gone": {"drawdown": 0.2}},
    }
    monkeypatch.setenv("ALERT_POLICY_LIMITS", json.dumps(policy))
    found = suggest(desk)

    written = json.loads((desk / "policy_limits.json").read_text())
    assert written["default"] == policy["default"]
    assert written["strategies"]["trend"] == policy["strategies"]["trend"]
    assert written["strategies"]["gone"] == {"drawdown": 0.2}
    assert set(written["strategies"][LONG]) == {"drawdown", "daily_loss"}
    (row,) = [line for line in found.stdout.splitlines() if line.startswith("trend")]
    cells = row.split()
    assert cells[:3] == ["trend", "10", "%*"]
    assert "-*" in cells
    assert cells[-3:-1] == ["20", "%*"]
    assert float(cells[-1].strip("()")) > 0.0


def test_a_strategy_that_is_not_judged_gets_none(desk: Path) -> None:
    (desk / "strategies.csv").write_text("strategy,status\ntrend,retired\n")
    (desk / "folder").mkdir()
    for name in ("daily.csv", "strategies.csv"):
        (desk / name).rename(desk / "folder" / name)
    found = CliRunner().invoke(cli, ["limits", "suggest", "--records", str(desk / "folder")])

    assert "trend: not judged on" in found.stdout
    assert "(retired)" in found.stdout


def test_without_a_final_row_nothing_has_healthy_years(desk: Path) -> None:
    source = read_source(str(desk / "daily.csv"), as_of=None)

    assert _calibrations(replace(source, reading=replace(source.reading, last_final=None))) == {}


@pytest.mark.parametrize("calibration", [CALM, WILD])
def test_the_drawdown_is_the_strategys_own_line_with_its_crossings(calibration: Any) -> None:
    record = a_record(noise(60), backtest=noise(800))
    line, a_year = _lines(record, calibration, 252.0, {})["drawdown"]

    own = calibration.emergency_depth(60)
    assert line is not None
    assert own <= line < own + 0.005
    assert a_year == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize("periods", [252.0, 365.0, 52.0, 12.0])
def test_losses_are_crossed_as_often_as_printed(periods: float) -> None:
    """Of independent years with a Pareto tail; with a thinner one they are crossed less often."""
    generator = np.random.default_rng(12)
    rows = 0.006 * generator.standard_t(3, 5000)
    found = _lines(a_record(noise(60), backtest=rows), CALM, periods, {})
    years = 0.006 * generator.standard_t(3, (4000, round(periods)))

    week = max(round(periods * 7 / 365.25), 1)
    weeks = years[:, : years.shape[1] // week * week].reshape(4000, -1, week)
    worst = np.expm1(np.log1p(np.maximum(weeks, -0.9)).cumsum(axis=2).min(axis=2))
    for name, losses in (("daily_loss", years), ("weekly_loss", worst)):
        line, a_year = found[name]
        assert line is not None
        assert a_year is not None
        assert a_year / 4 < (losses.min(axis=1) <= -line).mean() < 3 * a_year


def test_a_year_of_days_without_profit_or_loss_does_not_count_for_the_tail() -> None:
    rows = noise(3000, seed=13)
    flat = np.where(np.random.default_rng(14).random(3000) < 0.6, 0.0, rows)
    line, _ = _lines(a_record(noise(60), backtest=flat), CALM, 252.0, {})["daily_loss"]
    full, _ = _lines(a_record(noise(60), backtest=rows), CALM, 252.0, {})["daily_loss"]

    assert line is not None
    assert full is not None
    assert 0.7 * full < line <= full


def test_a_week_may_lose_no_less_than_one_of_its_days() -> None:
    rng = np.random.default_rng(5)
    crashes = np.where(rng.random(1_500) < 0.02, rng.gamma(2.0, 0.006, 1_500), 0.0)
    backtest = 0.001 + 0.002 * rng.standard_normal(1_500) - crashes

    lines = _lines(a_record(noise(60), backtest=backtest), CALM, 252.0, {})

    (day, _), (week, a_year) = lines["daily_loss"], lines["weekly_loss"]
    assert day is not None
    assert week is not None
    assert a_year is not None
    assert week >= day
    assert a_year <= 0.0514


def test_a_strategy_with_a_baseline_has_its_lines_too(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_RECORDS_URL", str(desk / "daily.csv"))
    rows = (desk / "daily.csv").read_text().splitlines()
    day = [row.split(",")[1] for row in rows if row.startswith("trend,")][-20]
    for arguments in (
        ["migrate"],
        ["strategies", "rebaseline", "trend", "--from", day, "--reason", "x", "--haircut", "0.3"],
    ):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, (done.output, done.exception)

    found = CliRunner().invoke(cli, ["limits", "suggest"])

    assert found.exit_code == 0, found.output
    assert "trend: too little data" not in found.output
    assert "trend" in json.loads((desk / "policy_limits.json").read_text())["strategies"]
