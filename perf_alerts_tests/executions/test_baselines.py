"""A strategy that lives on below its backtest, and what a new baseline makes of it."""

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from perf_alerts_dagster.bootstrap.desk import kept_of, open_desk
from perf_alerts_dagster.bootstrap.executions import build_services
from perf_alerts_dagster.bootstrap.records import migrate_store, read_records
from perf_alerts_dagster.cli.session import change_of
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.executions.baselines import candidate, rebaseline
from perf_alerts_dagster.incidents.model import Incident, Resolution
from perf_alerts_dagster.incidents.ports import IncidentFilter, TimelineEntry
from perf_alerts_dagster.judging.evaluation import Evaluation, Judgement
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.settings import load_settings
from perf_alerts_tests.builders import weekdays
from perf_alerts_tests.projections.test_baselines import spread

# An annual Sharpe ratio of 8, and of 4 since live began.
MEAN, BACKTEST = 0.005, 756
LONG, BAND, GAP = "mean_shortfall_252", "interval_breach", "gap_since_launch"


def day(place: int) -> date:
    found: date = weekdays(place + 1)[-1].astype(object)
    return found


def evening(place: int) -> datetime:
    return datetime.combine(day(place), datetime.min.time(), tzinfo=UTC) + timedelta(hours=23)


Execute = Callable[[int], Judgement]


@pytest.fixture
def execute(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Execute:
    """Judges the session of a row on that evening, by the rows until then, in a real store.

    The parameter is the share of the backtest's mean that it lives on with, by default the half.
    """
    live = spread(getattr(request, "param", 0.5) * MEAN, 100)
    returns = np.concatenate([spread(MEAN, BACKTEST), *[live] * 4])
    file = tmp_path / "daily.csv"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALERT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ALERT_RECORDS_URL", str(file))
    monkeypatch.setenv("ALERT_PROJECTION_PATHS", "1000")
    monkeypatch.setenv("ALERT_SESSION_CLOSE", "22:00")
    lines = [
        f"carry,{day_},{value!r},{'backtest' if place < BACKTEST else 'live'}"
        for place, (day_, value) in enumerate(
            zip(weekdays(len(returns)), returns.tolist(), strict=True)
        )
    ]

    def judged(place: int) -> Judgement:
        file.write_text("\n".join(["strategy,date,return,segment", *lines[: place + 1], ""]))
        migrate_store(load_settings())
        executor = build_services(load_settings())
        assert isinstance(executor.store, SqlAlertStore)
        try:
            found = executor.execute(
                DAILY_PNL_CHECK, as_of=None, run_id=uuid.uuid4().hex, now=evening(place)
            )
        finally:
            executor.store.close()
        return found.judgements[-1]

    return judged


def of_rule(judgement: Judgement, rule: str) -> Evaluation:
    return next(one for one in judgement.evaluations if one.rule == rule)


def set_baseline(place: int, haircut: float | None = None, *, since: int) -> float:
    """Set a baseline on an evening; returns its haircut."""
    settings, now = load_settings(), evening(place)
    reading = read_records(settings, now=now, kept=kept_of(settings))
    found = candidate(reading, "carry", day(since), today=now.date())
    asked = found.baseline(haircut, reason="gap since launch", by="ann", at=now)
    with open_desk(settings) as (desk, lifecycle):
        return rebaseline(desk, lifecycle, asked, change_of("rebaseline", "carry", now)).haircut


def incident(rule: str) -> tuple[Incident, list[TimelineEntry]]:
    """The only incident of a rule, with its timeline."""
    with open_desk(load_settings()) as (_, lifecycle):
        (found,) = lifecycle.store.incidents(IncidentFilter(rule=rule)).incidents
        return found, list(lifecycle.store.timeline(found.id))


def test_a_gap_since_launch_ends_with_the_haircut_that_is_proposed(execute: Execute) -> None:
    gone_live = BACKTEST + 199
    gap = of_rule(execute(gone_live), GAP)
    before, _ = incident(GAP)
    assert (gap.is_notified(), before.is_resolved) == (True, False)
    assert gap.parts["haircut"] == 0.0
    haircut = set_baseline(gone_live, since=gone_live)
    assert haircut == pytest.approx(0.5, abs=0.02)
    assert gap.parts["proposed_haircut"] == haircut

    since, after = day(gone_live), execute(gone_live + 1)
    ordinary = of_rule(after, GAP)
    assert ordinary.p_year is not None
    assert ordinary.p_year > 0.2
    assert (ordinary.observations, ordinary.parts["baseline_from"]) == (2, since.isoformat())
    assert f"haircut {100 * haircut:.0f} % since Mon 31 Aug by ann" in ordinary.message
    assert since == date(2026, 8, 31)
    found, timeline = incident(GAP)
    assert found.resolved is not None
    assert found.resolved.outcome is Resolution.RECOVERED
    ended = {"value": ordinary.value, "message": ordinary.message, "return": None}
    assert found.parts == {**before.parts, "ended": ended}
    assert (found.message, found.p_year) == (before.message, gap.p_year)
    words = [one for one in timeline if one.what in ("baseline", "resolved")]
    assert [(one.what, one.actor) for one in words] == [("baseline", "ann"), ("resolved", "system")]
    assert words[0].detail == {
        "since": since.isoformat(), "haircut": haircut, "reason": "gap since launch",
    }  # fmt: skip

    assert not any(
        of_rule(judgement, rule).is_notified()
        for judgement in (execute(place) for place in (BACKTEST + 300, BACKTEST + 399))
        for rule in (GAP, LONG, BAND, "mean_shortfall_126", "decay_cusum")
    )


@pytest.mark.parametrize("execute", [-0.5], indirect=True)
def test_an_incident_keeps_the_projection_that_judged_it(execute: Execute) -> None:
    gone_live = BACKTEST + 199
    assert of_rule(execute(gone_live), BAND).is_notified()
    before, _ = incident(BAND)
    set_baseline(gone_live, since=gone_live)
    band = of_rule(execute(gone_live + 1), BAND)

    assert (before.projection, band.projection) == (
        f"launch:{day(BACKTEST - 1)}",
        f"launch-1:{day(gone_live - 1)}",
    )
    assert band.observations == 2
    assert incident(BAND)[0] == before


def test_what_was_judged_before_a_baseline_from_an_earlier_day_stays(execute: Execute) -> None:
    place = BACKTEST + 199
    first = execute(place)
    set_baseline(place, 0.5, since=BACKTEST)
    again = execute(place)

    assert (again.as_of, again.settings_version) == (first.as_of, first.settings_version)
    assert first.data_hash != again.data_hash
    assert of_rule(again, LONG).observations == of_rule(first, LONG).observations == 200
    assert not of_rule(again, LONG).is_notified()
    with open_desk(load_settings()) as (desk, _):
        assert isinstance(desk, SqlDesk)
        judged = SqlAlertStore(desk.engine).judgements(alert=DAILY_PNL_CHECK.name)
        assert [one.data_hash for one in judged] == [again.data_hash, first.data_hash]
