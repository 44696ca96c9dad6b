"""The sample's made-up strategies: what a newcomer and an older folder are notified of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from perf_alerts_dagster.bootstrap.executions import build_services
from perf_alerts_dagster.bootstrap.records import migrate_store
from perf_alerts_dagster.core.alerts import DAILY_PNL_CHECK
from perf_alerts_dagster.executions.execute import Executor
from perf_alerts_dagster.incidents.model import Incident
from perf_alerts_dagster.incidents.ports import IncidentFilter
from perf_alerts_dagster.judging.evaluation import Judgement
from perf_alerts_dagster.judging.store.sql import SqlAlertStore
from perf_alerts_dagster.records.model import RecordsSource, StrategyRecord, TrackRecords
from perf_alerts_dagster.settings import load_settings

pytestmark = pytest.mark.slow

FIRST = datetime(2026, 1, 7, 18, tzinfo=UTC)
STEADY, UNDERSIZED = "made_up_steady", "made_up_undersized"
FAULT = (UNDERSIZED, "shadow_gap")


class Part(RecordsSource):
    """Some strategies of a source."""

    def __init__(self, source: RecordsSource, kept: Callable[[StrategyRecord], bool]) -> None:
        self._source, self._kept = source, kept

    def load(self, today: date) -> TrackRecords:
        records = self._source.load(today)
        kept = {name: one for name, one in records.strategies.items() if self._kept(one)}
        return replace(records, strategies=kept)


def is_made_up(record: StrategyRecord) -> bool:
    return record.owner == "made up"


def is_real(record: StrategyRecord) -> bool:
    return not is_made_up(record)


@contextmanager
def executor(
    state: Path, kept: Callable[[StrategyRecord], bool] = lambda _: True
) -> Iterator[Executor]:
    """The real parts over these strategies of the sample; nothing is sent."""
    settings = load_settings(
        {"ALERT_STATE_DIR": str(state), "ALERT_PROJECTION_PATHS": "1000"}, None
    )
    migrate_store(settings)
    found = build_services(settings)
    assert isinstance(found.store, SqlAlertStore)
    try:
        yield replace(found, records=Part(found.records, kept), deliver=lambda: None)
    finally:
        found.store.close()


def judgements(one: Executor, now: datetime) -> tuple[Judgement, ...]:
    done = one.execute(DAILY_PNL_CHECK, as_of=None, run_id=f"{now:%F}", now=now)
    return done.judgements


def incidents(one: Executor) -> dict[tuple[str, str], Incident]:
    every = one.lifecycle.store.incidents(IncidentFilter()).incidents
    return {(each.strategy, each.rule): each for each in every}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("pause", [16, pytest.param(4, marks=pytest.mark.long)])
def test_from_the_first_start_to_the_replays_end_the_planted_fault_is_found_and_no_other(
    tmp_path: Path, pause: int
) -> None:
    with executor(tmp_path, is_made_up) as one:
        # What was not read for some weeks is neither late nor stopped.
        for weeks in range(0, 52, pause):
            for judged in judgements(one, FIRST + timedelta(weeks=weeks)):
                outcomes = {
                    each.strategy: each
                    for each in judged.evaluations
                    if each.rule == "shadow_gap" and each.strategy in (STEADY, UNDERSIZED)
                }
                assert outcomes[STEADY].outcome.value == "ok", judged.as_of
                assert outcomes[UNDERSIZED].notifies, judged.as_of
                assert "size" in outcomes[UNDERSIZED].message
        assert {*incidents(one)} == {FAULT}
        assert not incidents(one)[FAULT].is_resolved


def test_a_folder_that_knew_the_sixteen_is_notified_of_the_planted_fault_alone(
    tmp_path: Path,
) -> None:
    with executor(tmp_path, is_real) as one:
        judgements(one, FIRST)
        before = incidents(one)
    with executor(tmp_path) as one:
        *_, judged = judgements(one, FIRST + timedelta(days=1))

        assert {STEADY, UNDERSIZED} <= {each.strategy for each in judged.evaluations}
        assert {*incidents(one)} - {*before} == {FAULT}
        assert not any(each.is_resolved for each in incidents(one).values())
