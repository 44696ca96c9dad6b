"""`perf-alerts budget` over a real store, at a terminal's usual width."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from perf_alerts_dagster.bootstrap.records import migrate_store, store_url
from perf_alerts_dagster.cli import output
from perf_alerts_dagster.cli.main import cli
from perf_alerts_dagster.core.errors import UsageError
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_tests.incidents.incident_desk import fine, judged
from perf_alerts_tests.judged_desk import NAMES, judged_desk

Run = Callable[..., Result]
TOMORROW = judged().as_of + timedelta(days=1)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(output.OUT, "width", 80)
    settings = load_settings()
    migrate_store(settings)
    engine = open_engine(store_url(settings))
    judged_desk(settings, engine, datetime.now(UTC))
    engine.dispose()

    def invoke(*args: str) -> Result:
        return CliRunner().invoke(cli, ["budget", *args])

    return invoke


def test_it_prints_the_desks_and_the_rules_accounts_within_80_columns(run: Run) -> None:
    found = run()

    assert found.exit_code == 0, found.output
    lines = [line.rstrip() for line in found.output.splitlines()]
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "a warning in 10 % of its years, a critical in 2 %." in text
    assert "mean over years" in text
    assert "1 of 3 have no rate yet, and nothing is stated: young" in text
    assert "from warning on 0.2 1 over by 0.8" in text
    assert "mean_shortfall_252 1 of 0.0" in text
    assert "walk_forward_stability only shown - -" in text
    assert "trend 1 of 0.1 1 of 0.03" in text
    assert "young" not in text.partition("by strategy")[2]


def test_one_strategy_has_its_own(run: Run) -> None:
    found = run("--strategy", "carry")

    text = " ".join(found.output.split())
    assert "carry, last 365 days" in text
    assert "from warning on 0.1 0 0.1" in text
    assert "limit passed 0.045 1 over by 0.96" in text
    assert "by strategy" not in text


def test_an_unknown_strategy_is_refused_with_those_that_there_are(run: Run) -> None:
    found = run("--strategy", "carri")

    assert isinstance(found.exception, UsageError)
    assert "'carri'" in str(found.exception)
    assert "accepted are carry, trend, young" in str(found.exception)


def test_programs_get_what_rest_answers(run: Run) -> None:
    found = json.loads(run("--json").stdout)

    assert found["holds"] is True
    assert found["desk"]["warnings"]["spent"] == 1
    assert [each["strategy"] for each in found["by_strategy"]] == ["carry", "trend", "young"]


def test_limits_of_losses_are_counted_in_the_record(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"carry,2025-01-{day:02},{-0.02 if day == 6 else 0.001},live" for day in range(1, 31)]
    (tmp_path / "daily.csv").write_text("strategy,date,return,segment\n" + "\n".join(rows) + "\n")
    monkeypatch.setenv("ALERT_RECORDS_URL", str(tmp_path / "daily.csv"))
    monkeypatch.setenv("ALERT_POLICY_LIMITS", '{"default": {"daily_loss": 0.01}}')
    found = json.loads(run("--json", "--strategy", "carry").stdout)

    (rule,) = [each for each in found["by_rule"] if each["rule"] == "policy_daily_loss"]
    assert rule["limit_messages"]["set"] == pytest.approx(365.25 / 30)


def test_the_documented_preset_says_that_no_budget_holds(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_RULE_PRESET", "documented")
    found = run()

    assert "no budget holds" in " ".join(found.output.split())
    assert "Stated for each strategy" not in found.output
    assert "from warning on - 1 -" in " ".join(found.output.split())


def test_a_strategy_with_a_shadow_pays_for_its_rule_and_no_other_does(run: Run) -> None:
    settings = load_settings()
    engine = open_engine(store_url(settings))
    before = json.loads(run("--json").stdout)
    shadow = fine(strategy="trend", rule="shadow_gap")
    drawdowns = [fine(strategy=name, rule="drawdown", observations=10) for name in NAMES]
    SqlAlertStore(engine).record(judged(*drawdowns, shadow, as_of=TOMORROW), watermark=None)
    engine.dispose()
    after = json.loads(run("--json").stdout)

    def rules(found: Any) -> dict[str, Any]:
        return {each["rule"]: each for each in found["by_rule"]}

    def strategies(found: Any) -> dict[str, Any]:
        return {each["strategy"]: each for each in found["by_strategy"]}

    assert rules(before)["shadow_gap"]["warnings"]["set"] == 0.0
    assert rules(after)["shadow_gap"]["warnings"]["set"] > 0.02
    assert strategies(after)["carry"] == strategies(before)["carry"]
