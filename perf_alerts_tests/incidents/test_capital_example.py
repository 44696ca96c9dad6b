"""The examples in docs/rules.md, "Capital": every sentence that it prints is judged again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perf_alerts_dagster.bootstrap.executions import build_session_judge
from perf_alerts_dagster.bootstrap.records import read_records
from perf_alerts_dagster.core.alerts import BY_NAME, DAILY_PNL_CHECK
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.records.desk import Kept
from perf_alerts_dagster.settings import Settings, load_settings
from perf_alerts_tests.incidents.incident_desk import DAY, IncidentDesk

DOCS = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
THRESHOLDS = BY_NAME["performance_threshold_check"]


def coin(folder: Path) -> None:
    """A fair coin at 60 % volatility: 756 tosses of backtest, 252 live."""
    tosses = np.random.default_rng(17).integers(0, 2, 1008) * 2 - 1
    returns = 0.6 / np.sqrt(252) * tosses
    days = np.busday_offset(np.datetime64("2026-11-27"), np.arange(-1007, 1), roll="backward")
    lines = [
        f"coin,{day},{value:.8f},{'backtest' if place < 756 else 'live'}"
        for place, (day, value) in enumerate(zip(days, returns, strict=True))
    ]
    (folder / "daily.csv").write_text("\n".join(["strategy,date,return,segment", *lines]) + "\n")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    coin(tmp_path)
    monkeypatch.setenv("ALERT_RECORDS_URL", str(tmp_path / "daily.csv"))
    return load_settings()


def lived(settings: Settings, policy: Mapping[str, Any]) -> list[str]:
    """The messages of the live year about its drawdown: when, how severe, and what they say."""
    settings = settings.model_copy(update={"policy_limits": dict(policy)})
    reading = read_records(settings, now=NOW, kept=Kept())
    record = reading.records.strategies["coin"]
    sessions = [day.astype(object) for day in record.dates[record.live]]
    judge = build_session_judge(settings).for_sessions(sessions)
    desk, said = IncidentDesk(), []
    for place, session in enumerate(sessions):
        issue_on = (session,) if place == 0 else ()
        judgement, _ = judge.judge_session(
            THRESHOLDS, reading, session, issue_on=issue_on, run_id=f"run-{place}", now=desk.now
        )
        desk.wait(DAY)
        desk.memory.add_judgement(judgement)
        desk.lifecycle.apply_judgements(THRESHOLDS.name, run_id=f"run-{place}", now=desk.now)
        for row in desk.outbox.claim(desk.now, "w", DAY, limit=9):
            assert desk.outbox.mark_sent(row.id, row.fence, desk.now)
            incidents = row.payload["incidents"]
            assert isinstance(incidents, list)
            for each in incidents:
                assert isinstance(each, dict)
                if "drawdown" in str(each["rule"]):
                    reason, severity = each["reason"], each["severity"]
                    said.append(f"| {session} | {reason} | {severity} | {each['message']} |")
    return said


@pytest.mark.parametrize("policy", [{}, {"default": {"drawdown": 0.3}}])
def test_the_coin_of_the_docs_is_notified_as_they_say(
    settings: Settings, policy: Mapping[str, Any]
) -> None:
    said = lived(settings, policy)

    assert said
    for line in said:
        assert line in DOCS


def test_a_line_that_a_wild_strategy_passes_often_leaves_its_evidence_a_budget(
    settings: Settings,
) -> None:
    reading = read_records(settings, now=NOW, kept=Kept())
    judgement = build_session_judge(settings).judge_newest(
        DAILY_PNL_CHECK, reading, run_id="docs", now=NOW
    )

    levels = [each.parts["levels"] for each in judgement.evaluations if "levels" in each.parts]
    assert levels
    for pair in levels:
        assert isinstance(pair, dict)
        assert float(str(pair["warning"])) > 0.0
        assert float(str(pair["critical"])) > 0.0
    limits = [each.limit for each in judgement.evaluations if each.limit is not None]
    assert np.isfinite(limits).all()


@pytest.mark.slow
def test_the_sample_is_notified_as_the_docs_say() -> None:
    settings = load_settings()
    reading = read_records(settings, now=datetime.now(UTC), kept=Kept())
    judgement: Judgement = build_session_judge(settings).judge_newest(
        DAILY_PNL_CHECK, reading, run_id="docs", now=datetime.now(UTC)
    )
    (found,) = [
        each
        for each in judgement.evaluations
        if (each.strategy, each.rule) == ("xsmom_12_1", "drawdown")
    ]

    share = found.parts["documented_share"]
    assert isinstance(share, float)
    # The sample is replayed: the lives are drawn by its first live day.
    assert round(100 * share) in (81, 82, 83, 84)
    begin = "36.0 % below its high of "
    assert found.message.startswith(begin)
    assert begin in DOCS
