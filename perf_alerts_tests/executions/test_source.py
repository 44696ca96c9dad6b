"""Executions over a source that loses strategies or rows, in a real store."""

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from shutil import copytree

import pytest
from sqlalchemy import Engine

from perf_alerts_dagster.control.sql import SqlAudit
from perf_alerts_dagster.core.alerts import ALERTS
from perf_alerts_dagster.core.errors import StoreUnavailable
from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.executions.source import check_source, retire
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.model import Incident, Resolution
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.incidents.store.incidents import SqlIncidents
from perf_alerts_dagster.incidents.store.outbox import SqlOutbox
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.judging.summary import outcomes
from perf_alerts_dagster.records.desk import Retirement, SourceReading, UnknownStrategy
from perf_alerts_dagster.records.model import RecordFault, TrackRecords
from perf_alerts_dagster.records.sql import SqlDesk
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.executions.trading_desk import (
    DAILY,
    WEEKLY,
    Desk,
    a_strategy,
    after_close,
    dates,
    day,
    weekdays,
)
from perf_alerts_tests.storage.changes import change

ALL = ("a", "b", "c", "d")
FIRST = 310


def over(engine: Engine) -> Desk:
    made = Desk()
    made.store = SqlAlertStore(engine)
    made.incidents = SqlIncidents(engine)
    made.kept = SqlDesk(engine)
    made.policy = NotificationSettings(channels=("mail",))
    return made


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store in which four strategies were judged up to row 309."""
    folder = tmp_path_factory.mktemp("judged")
    engine = open_engine(f"sqlite:///{folder}/alerts.db")
    migrate(engine)
    execute(over(engine), FIRST)
    engine.dispose()
    return folder


@pytest.fixture
def copied_engine(judged: Path, tmp_path: Path) -> Iterator[Engine]:
    """A copy of that store, of this test alone."""
    copytree(judged, tmp_path / "copied")
    engine = open_engine(f"sqlite:///{tmp_path}/copied/alerts.db")
    yield engine
    engine.dispose()


@pytest.fixture
def desk(copied_engine: Engine) -> Desk:
    """Four strategies that were judged up to row 309."""
    return over(copied_engine)


def execute(
    desk: Desk, rows: int, names: Collection[str] = ALL, *, alert: str = "", **more: str
) -> Execution:
    """The next execution, after the close of the newest row."""
    return run(desk, of(rows, names), rows, alert=alert, **more)


def run(
    desk: Desk, records: TrackRecords, rows: int, *, alert: str = "", run_id: str = ""
) -> Execution:
    chosen = next((one for one in ALERTS if one.name == alert), DAILY)
    return desk.run(
        records, after_close(rows - 1), alert=chosen, run_id=run_id or f"{chosen.name}-{rows}"
    )


def of(rows: int, names: Collection[str] = ALL) -> TrackRecords:
    strategies = {
        name: a_strategy(name, 340, seed=seed).rows(0, rows)
        for seed, name in enumerate(ALL)
        if name in names
    }
    return TrackRecords(source="daily.csv", strategies=strategies)


def incidents(desk: Desk, rule: str) -> list[Incident]:
    return list(desk.incidents.incidents(IncidentFilter(rule=rule)).incidents)


def lifecycle(desk: Desk) -> Lifecycle:
    return Lifecycle(store=desk.incidents, settings=desk.policy)


def retirement(name: str) -> Retirement:
    at = datetime(2025, 3, 20, tzinfo=UTC)
    return Retirement(strategy=name, since=day(FIRST), reason="closed", by="ann", at=at)


def test_a_strategy_that_vanished_is_no_data_on_every_day_until_it_is_retired(
    desk: Desk, copied_engine: Engine
) -> None:
    for rows in (311, 312):
        done = execute(desk, rows, ALL[1:])
        assert done.newest is not None
        assert outcomes(done.newest)["a"] is Outcome.NO_DATA
        assert f"a is no longer in the source, last seen on {day(FIRST - 1)}" in done.notes
    (found,) = incidents(desk, "no_data")
    assert (found.strategy, found.severity, found.is_resolved) == ("a", Severity.CRITICAL, False)
    assert day(FIRST - 1) == date(2025, 3, 7)
    assert "the source no longer has it, its newest row was of Fri 7 Mar; " in found.message

    retire(desk.kept, lifecycle(desk), retirement("a"), change())
    (found,) = incidents(desk, "no_data")
    assert found.resolved is not None
    assert (found.resolved.by, found.resolved.outcome) == ("ann", Resolution.KNOWN)
    done = execute(desk, 313, ALL[1:])
    assert done.newest is not None
    assert "a" not in outcomes(done.newest)
    assert not any("a is no longer" in note for note in done.notes)


def test_a_strategy_that_comes_back_recovers(desk: Desk) -> None:
    execute(desk, 311, ALL[1:])
    execute(desk, 312)

    (found,) = incidents(desk, "no_data")
    assert found.is_resolved


def test_the_strategies_table_ends_a_strategy_that_vanished(desk: Desk) -> None:
    execute(desk, 311, ALL[1:])
    done = run(desk, replace(of(312, ALL[1:]), ended={"a": day(300)}), 312)

    (found,) = incidents(desk, "no_data")
    assert found.resolved is not None
    assert (found.resolved.by, found.resolved.outcome) == ("the strategies table", Resolution.KNOWN)
    assert done.newest is not None
    assert "a" not in outcomes(done.newest)


def test_a_strategy_with_faults_has_not_vanished(desk: Desk) -> None:
    fault = (RecordFault(where="daily.csv", rule="is bad", row=3),)
    done = run(desk, replace(of(311, ALL[1:]), faults={"a": fault}), 311)

    assert done.newest is not None
    assert outcomes(done.newest)["a"] is Outcome.ERROR
    assert incidents(desk, "no_data") == []


def test_an_alert_without_data_rules_does_not_take_the_source_for_late(desk: Desk) -> None:
    done = execute(desk, 311, ALL[1:], alert=WEEKLY.name)

    assert done.newest is not None
    assert outcomes(done.newest)["a"] is Outcome.NO_DATA
    assert [one.strategy for one in incidents(desk, "no_data")] == ["a"]


def test_a_source_that_shrank_is_one_incident_and_nothing_is_judged(
    desk: Desk, copied_engine: Engine
) -> None:
    kept = (desk.store.watermark(DAILY.name), desk.store.month_hashes())
    before = desk.kept.source("daily.csv")
    assert before is not None
    for rows, alert in ((311, ""), (311, WEEKLY.name), (311, "evening_performance_check")):
        done = execute(desk, rows, ALL[2:], alert=alert)
        assert done.judgements == ()
        assert done.shrunk == "daily.csv shrank: 2 of 4 strategies are gone: a, b"
        assert f"{done.shrunk}: nothing was judged by this reading" in done.notes

    (found,) = incidents(desk, "source_shrunk")
    assert (found.severity, found.is_resolved, found.breaches) == (Severity.CRITICAL, False, 3)
    assert "perf-alerts check --accept" in found.message
    assert len(SqlOutbox(copied_engine).about(found.id)) == 1
    assert (desk.store.watermark(DAILY.name), desk.store.month_hashes()) == kept
    after = desk.kept.source("daily.csv")
    assert after is not None
    assert replace(after, pending=None) == before
    # Three executions on one day are one day.
    assert after.pending is not None
    assert after.pending.days == (day(310),)


def test_the_history_file_of_a_source_that_shrank_is_not_one_without_alerts(desk: Desk) -> None:
    done = execute(desk, 311, ALL[2:])

    assert done.summary is not None
    content = json.loads(done.summary.read_text())
    assert (content["alerts_generated"], content["critical_count"]) == (1, 1)
    assert content["alert_details"][0]["alert_id"] == "|source_shrunk|records"
    assert content["judged"] == []


def test_nothing_is_resolved_by_a_source_that_shrank(desk: Desk) -> None:
    execute(desk, 311, ALL[1:])
    execute(desk, 312, ["c"])

    assert [one.is_resolved for one in incidents(desk, "no_data")] == [False]


def test_a_source_that_is_whole_again_is_judged_for_all_missed_sessions(desk: Desk) -> None:
    execute(desk, 311, ALL[2:])
    execute(desk, 312, ALL[2:])
    done = execute(desk, 313)

    assert dates(done) == [day(row) for row in (310, 311, 312)]
    (found,) = incidents(desk, "source_shrunk")
    assert found.resolved is not None
    assert found.resolved.outcome is Resolution.RECOVERED
    assert incidents(desk, "no_data") == []
    state = desk.kept.source("daily.csv")
    assert state is not None
    assert (state.pending, sorted(state.accepted)) == (None, list(ALL))


def test_on_the_third_day_it_is_accepted_and_each_strategy_has_vanished_by_itself(
    desk: Desk,
) -> None:
    shrunk = [bool(execute(desk, rows, ALL[2:]).shrunk) for rows in (311, 312, 313)]

    assert shrunk == [True, True, False]
    assert sorted(one.strategy for one in incidents(desk, "no_data")) == ["a", "b"]
    assert [one.is_resolved for one in incidents(desk, "source_shrunk")] == [True]
    assert [one.as_of for one in desk.store.judgements(alert=DAILY.name, limit=3)] == [
        day(row) for row in (312, 311, 310)
    ]


def test_a_person_accepts_it_and_the_next_execution_judges(
    desk: Desk, copied_engine: Engine
) -> None:
    execute(desk, 311, ALL[2:])
    check = check_source(
        desk.kept,
        lifecycle(desk),
        of(311, ALL[2:]),
        kept=desk.kept.kept(),
        today=day(310),
    )
    check.accept(after_close(310), change(action="accept", target="records"))

    assert [one.is_resolved for one in incidents(desk, "source_shrunk")] == [True]
    (row,) = SqlAudit(copied_engine).entries().rows
    assert (row.action, row.before, row.after) == (
        "accept",
        {"strategies": 4, "rows": 4 * FIRST, "vanished": []},
        {"strategies": 2, "rows": 2 * 311, "vanished": ["a", "b"]},
    )
    assert execute(desk, 311, ALL[2:], run_id="next").judgements[-1].as_of == day(310)


def test_lost_rows_of_one_strategy_stop_the_desk_until_they_are_back(desk: Desk) -> None:
    records = of(311)
    torn = records.strategies["a"].rows(0, 200)
    done = run(desk, replace(records, strategies={**records.strategies, "a": torn}), 311)

    assert done.shrunk == (
        f"daily.csv shrank: 110 of 310 rows of a are gone, from {day(200)} to {day(309)}"
    )
    assert dates(execute(desk, 312)) == [day(310), day(311)]


def test_an_execution_that_dies_before_it_accepts_finds_the_same_again(
    desk: Desk, copied_engine: Engine
) -> None:
    class Dying(SqlDesk):
        def save_source(self, name: str, reading: SourceReading, change: object = None) -> None:
            raise StoreUnavailable("full")

    alive, desk.kept = desk.kept, Dying(copied_engine)
    with pytest.raises(StoreUnavailable):
        execute(desk, 311, ALL[1:], run_id="dies")
    desk.kept = alive
    done = execute(desk, 311, ALL[1:], run_id="next")

    assert done.newest is not None
    assert outcomes(done.newest)["a"] is Outcome.NO_DATA


def test_nothing_has_vanished_where_no_reading_was_accepted_before(sqlite_engine: Engine) -> None:
    """As after an upgrade: the store has judged a strategy, and was never compared."""
    desk = Desk()
    desk.store = SqlAlertStore(sqlite_engine)
    execute(desk, FIRST)
    desk.kept = SqlDesk(sqlite_engine)
    done = execute(desk, 311, ALL[1:])

    assert done.newest is not None
    assert "a" not in outcomes(done.newest)
    assert "a" in desk.kept.known()


def test_an_equal_reading_is_not_stored_again(desk: Desk) -> None:
    saved: list[str] = []

    class Counting(SqlDesk):
        def save_source(self, name: str, reading: SourceReading, change: object = None) -> None:
            saved.append(name)

    assert isinstance(desk.kept, SqlDesk)
    desk.kept = Counting(desk.kept.engine)
    execute(desk, FIRST, run_id="again")

    assert saved == []


def test_a_strategy_that_is_retired_and_still_in_the_source_is_not_judged(desk: Desk) -> None:
    retire(desk.kept, lifecycle(desk), retirement("a"), change())
    done = execute(desk, 311)

    assert done.newest is not None
    assert "a" not in outcomes(done.newest)
    assert len(weekdays(311)) == len(of(311).strategies["a"])


def test_an_unknown_strategy_is_not_retired(desk: Desk) -> None:
    with pytest.raises(UnknownStrategy, match="known are: a, b, c, d"):
        retire(desk.kept, lifecycle(desk), retirement("e"), change())


@pytest.mark.parametrize("asked", [None, 4])
def test_an_older_file_that_is_back_is_late_data_and_no_silence(
    desk: Desk, asked: int | None
) -> None:
    for later in (1, 4):
        now = after_close(FIRST - 1 + later)
        as_of = None if asked is None else day(FIRST - 1 + later)
        made = desk.run(
            of(FIRST - 1), now, run_id=f"r{later}", as_of=as_of, at_or_before=asked is not None
        )
        assert dates(made) == [day(FIRST - 1)]
        assert not made.judgements[0].recorded_only
        assert Outcome.OK not in outcomes(made.judgements[0]).values()

    assert [(one.strategy, one.rule) for one in made.incidents] == [("", "no_data")]
    whole = execute(desk, FIRST + 4)
    assert [one.is_resolved for one in whole.incidents if one.rule == "no_data"] == [True]
