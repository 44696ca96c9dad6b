"""Executions keep when the rows of a shadow were first read, and nothing else does."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.core.alerts import Alert
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.core.wording import day_words
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.judging.evaluation import Evaluation, Outcome
from perf_alerts_dagster.judging.rules.shadow import RULE
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.records.model import Dates, Floats, Shadow, TrackRecords
from perf_alerts_dagster.records.reading import Reading, read
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_tests.builders import MARKET
from perf_alerts_tests.executions.trading_desk import (
    BACKTEST,
    DAILY,
    MONTHLY,
    WEEKLY,
    Desk,
    a_session_judge,
    a_strategy,
    after_close,
    day,
    weekdays,
)
from perf_alerts_tests.fakes import FakeRecordsSource

FIRST = BACKTEST + 10
SHADOW_GAP = RULE.id


@pytest.fixture
def desk(engine: Engine) -> Desk:
    made = Desk()
    made.store = SqlAlertStore(engine)
    made.kept = SqlDesk(engine)
    return made


def shadowed(rows: int, until: int, *names: str) -> TrackRecords:
    """Strategies with so many rows, and a shadow of their live dates before row `until`."""
    made = {}
    for seed, name in enumerate(names or ("trend",)):
        record = a_strategy(name, seed=seed).rows(0, rows)
        returns = a_strategy(name, seed=seed).returns[BACKTEST:until]
        made[name] = replace(record, shadow=a_shadow(weekdays(until)[BACKTEST:], returns))
    return TrackRecords(source="test", strategies=made)


def a_shadow(dates: Dates, returns: Floats) -> Shadow:
    return Shadow(
        dates=dates,
        returns=returns,
        costs=np.zeros(len(dates)),
        versions=np.full(len(dates), "", dtype=np.str_),
        seen=np.full(len(dates), np.datetime64("NaT"), dtype="datetime64[D]"),
    )


def reading_of(desk: Desk, records: TrackRecords, rows: int) -> Reading:
    now = after_close(rows - 1)
    source = FakeRecordsSource(records)
    return read(
        source, MARKET, as_of=None, now=now, timezone=ZoneInfo("UTC"), kept=desk.kept.kept()
    )


def seen_of(desk: Desk, records: TrackRecords, rows: int) -> list[str]:
    shadow = reading_of(desk, records, rows).records.strategies["trend"].shadow
    assert shadow is not None
    return [str(session) for session in shadow.seen]


@pytest.mark.parametrize("alert", [DAILY, WEEKLY, MONTHLY])
def test_every_execution_keeps_what_it_read_first(desk: Desk, alert: Alert) -> None:
    desk.run(shadowed(FIRST, FIRST), after_close(FIRST - 1), alert=alert, run_id="1")
    desk.run(shadowed(FIRST + 8, FIRST), after_close(FIRST + 7), alert=alert, run_id="2")
    late = shadowed(FIRST + 9, FIRST + 2)
    desk.run(late, after_close(FIRST + 8), alert=alert, run_id="3")

    found = seen_of(desk, shadowed(FIRST + 20, FIRST + 2), FIRST + 20)
    assert found == ["NaT"] * 10 + [day(FIRST + 7).isoformat()] * 2


def test_nothing_is_kept_anew_by_the_next_execution_over_the_same(desk: Desk) -> None:
    records = shadowed(FIRST, FIRST)
    desk.run(records, after_close(FIRST - 1), run_id="1")
    before = desk.kept.kept().first_seen

    assert [month for _, month in before] == ["2025-02", "2025-03", "read"]
    assert reading_of(desk, records, FIRST).first_seen == {}
    desk.run(records, after_close(FIRST - 1), alert=WEEKLY, run_id="2")
    assert desk.kept.kept().first_seen == before


def test_a_run_as_of_an_older_date_dates_rows_by_what_was_read(desk: Desk) -> None:
    desk.run(shadowed(FIRST, FIRST), after_close(FIRST - 1), run_id="1")
    rows = FIRST + 8
    desk.run(shadowed(rows, FIRST), after_close(rows - 1), as_of=day(FIRST), run_id="2")

    newest = day(rows - 1).isoformat()
    assert seen_of(desk, shadowed(rows, rows), rows) == ["NaT"] * 10 + [newest] * 8


def shadow_gaps(done: Execution) -> list[Evaluation]:
    return [each for one in done.judgements for each in one.evaluations if each.rule == SHADOW_GAP]


def test_after_a_pause_of_four_weeks_no_shadow_is_said_to_have_stopped(desk: Desk) -> None:
    desk.run(shadowed(FIRST, FIRST), after_close(FIRST - 1), run_id="1")
    rows = FIRST + 20
    done = desk.run(shadowed(rows, rows), after_close(rows - 1), run_id="2")

    found = shadow_gaps(done)
    assert len(found) == 20
    assert {each.outcome for each in found} == {Outcome.INSUFFICIENT_DATA}
    assert [each.observations for each in found] == [*range(11, 31)]
    assert not any(each.notifies for each in found)


def test_a_shadow_that_stopped_before_the_pause_is_said_to_have_stopped(desk: Desk) -> None:
    desk.run(shadowed(FIRST, FIRST), after_close(FIRST - 1), run_id="1")
    rows = FIRST + 20
    done = desk.run(shadowed(rows, FIRST + 1), after_close(rows - 1), run_id="2")

    found = shadow_gaps(done)
    assert [each.outcome for each in found] == [
        *[Outcome.INSUFFICIENT_DATA] * 6,
        *[Outcome.NO_DATA] * 14,
    ]
    assert found[-1].message == (
        f"its shadow has no rows since {day_words(day(FIRST), beside=day(rows - 1))}: "
        "19 sessions behind the strategy, 5 allowed"
    )
    assert found[-1].notifies


def test_a_shadow_whose_rows_are_gone_does_not_end_silently(desk: Desk) -> None:
    desk.run(shadowed(FIRST, FIRST), after_close(FIRST - 1), run_id="1")
    rows = FIRST + 1
    gone = TrackRecords(source="test", strategies={"trend": a_strategy().rows(0, rows)})
    done = desk.run(gone, after_close(rows - 1), run_id="2")

    (found,) = shadow_gaps(done)
    assert found.outcome is Outcome.ERROR
    assert found.message == (
        f"shadow: no row is left of those that were read before, the newest of {day(FIRST - 1)}"
    )
    assert (found.severity, found.notifies) == (Severity.WARNING, True)


def test_judging_without_recording_keeps_nothing(desk: Desk) -> None:
    records = shadowed(FIRST, FIRST)
    desk.run(shadowed(FIRST, BACKTEST + 1), after_close(FIRST - 1), run_id="1")
    before = desk.kept.kept().first_seen
    reading = reading_of(desk, records, FIRST)
    a_session_judge(desk.store).judge_newest(
        DAILY, reading, run_id="evaluate", now=after_close(FIRST - 1)
    )

    assert reading.first_seen != {}
    assert desk.kept.kept().first_seen == before


def test_a_source_that_shrank_dates_nothing(desk: Desk) -> None:
    names = ("trend", "b", "c", "d")
    desk.run(shadowed(FIRST, FIRST, *names), after_close(FIRST - 1), run_id="1")
    before = desk.kept.kept().first_seen
    rows = FIRST + 1
    refused = desk.run(shadowed(rows, rows, *names[:2]), after_close(rows - 1), run_id="2")

    assert refused.shrunk
    assert desk.kept.kept().first_seen == before
