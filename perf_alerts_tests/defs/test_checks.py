"""What executions write at the checks and partitions of Dagster's catalog, in real runs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from perf_alerts_dagster.core.severity import Severity
from perf_alerts_dagster.defs.build import build_definitions
from perf_alerts_dagster.defs.catalog import RECORD, judged_asset, sessions_of, strategy_asset
from perf_alerts_dagster.executions.catalog import Catalog, Listed, catalog_file
from perf_alerts_dagster.executions.execute import Execution
from perf_alerts_dagster.judging.evaluation import Evaluation, Evidence, Judgement, Outcome
from perf_alerts_dagster.judging.store.sql import open_store
from perf_alerts_dagster.settings import load_settings
from perf_alerts_dagster.storage.engine import open_engine
from perf_alerts_dagster.storage.migrate import migrate
from perf_alerts_tests.incidents.incident_desk import DAILY, MONDAY, START, breach, fine, judged

NAMES = ("carry", "trend", "vol")
LOST = {"value": None, "limit": None, "p_year": None, "evidence": None}


def bad(severity: Severity = Severity.CRITICAL, **more: Any) -> Evaluation:
    return breach(**({"rule": "drawdown", "severity": severity, "strategy": "trend"} | more))


def good(**more: Any) -> Evaluation:
    return fine(**({"rule": "drawdown", "strategy": "trend"} | more))


def blind(outcome: Outcome, **more: Any) -> Evaluation:
    return good(outcome=outcome, message="its row is missing", **(LOST | more))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    # Its storages are those on disk, in memory: a run costs a third of the CPU and no disk.
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class Desk:
    """Runs of the daily check, each with what it judged."""

    def __init__(self, instance: dg.DagsterInstance, state_dir: Path) -> None:
        self.instance = instance
        self.environ = {"ALERT_STATE_DIR": str(state_dir)}
        self.catalog = Catalog(strategies=tuple(Listed(name=name) for name in NAMES), rows=30)

    def run(
        self, *evaluations: Evaluation, days: int = 0, alert: str = DAILY, **changes: Any
    ) -> dg.DagsterRun:
        as_of = MONDAY + timedelta(days=days)
        judgement = judged(*evaluations, as_of=as_of, alert=alert, **changes)
        return self.judge(judgement)

    def judge(self, *judgements: Judgement) -> dg.DagsterRun:
        catalog = self.catalog

        class Services:
            def execute(self, alert: Any, **asked: Any) -> Execution:
                return Execution(
                    alert=alert.name,
                    run_id=asked["run_id"],
                    executed_at=START,
                    judgements=judgements,
                    catalog=catalog,
                )

        settings = load_settings(self.environ, None)
        job = build_definitions(settings, Services).resolve_job_def(judgements[0].alert)
        result = job.execute_in_process(instance=self.instance)
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run

    def written(self, run: dg.DagsterRun) -> list[str]:
        """The checks that a run wrote, in order: strategy, family and state."""
        found = []
        for entry in self.instance.all_logs(run.run_id):
            if entry.dagster_event and entry.dagster_event.event_type_value == (
                "ASSET_CHECK_EVALUATION"
            ):
                data: Any = entry.dagster_event.event_specific_data
                state = data.metadata["state"].value
                found.append(f"{data.asset_key.path[-1]} {data.check_name} {state}")
        return found

    def last(self, strategy: str, family: str = "threshold") -> dg.AssetCheckEvaluation:
        key = dg.AssetCheckKey(strategy_asset(strategy), family)
        record = self.instance.get_latest_asset_check_evaluation_record(key)
        assert record is not None
        assert record.evaluation is not None
        return record.evaluation


@pytest.fixture
def desk(instance: dg.DagsterInstance, tmp_path: Path) -> Desk:
    return Desk(instance, tmp_path / "state")


WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize(
    ("evaluations", "expected"),
    [
        ([good()], (True, "ok")),
        ([good(), bad()], (False, "critical", ERROR)),
        ([bad(), bad(Severity.EMERGENCY, rule="wipe_out")], (False, "emergency", ERROR)),
        ([bad(Severity.WARNING)], (False, "warning", WARN)),
        # People are notified of neither.
        ([bad(evidence=Evidence.WEAK)], (True, "not_notified")),
        ([bad(Severity.INFO)], (True, "not_notified")),
        ([blind(Outcome.NO_DATA), bad()], (False, "no_data", ERROR)),
        ([blind(Outcome.ERROR)], (False, "error", ERROR)),
        ([blind(Outcome.PARTIAL)], (False, "partial", WARN)),
        ([blind(Outcome.INSUFFICIENT_DATA)], (False, "insufficient_data", WARN)),
    ],
)
def test_a_check_passes_where_nobody_is_notified_and_nothing_is_missing(
    desk: Desk, evaluations: list[Evaluation], expected: tuple[Any, ...]
) -> None:
    desk.run(*evaluations)
    found = desk.last("trend")

    seen = (found.passed, found.metadata["state"].value, found.severity)
    assert seen[: len(expected)] == expected


def test_a_check_carries_numbers_as_numbers_and_the_page_of_its_strategy(desk: Desk) -> None:
    desk.run(bad(message="the drawdown\nis 30 %"), good(rule="rolling_sharpe"))
    found = desk.last("trend")

    assert found.description == "critical: the drawdown is 30 %"
    assert {name: value.value for name, value in found.metadata.items()} == {
        "state": "critical",
        "as_of": "2026-01-05",
        "alert": DAILY,
        "rules": 2,
        "breaches": 1,
        "notified": 1,
        "provisional": False,
        "worst_rule": "drawdown",
        "p_year": 0.01,
        "page": "http://127.0.0.1:8089/strategies/trend",
    }


def test_a_check_is_written_where_its_state_changed_and_once_a_session_while_it_is_bad(
    desk: Desk,
) -> None:
    states = [
        ([good()], 0, ["trend threshold ok"]),
        ([good()], 0, []),
        ([good()], 1, []),
        ([bad()], 1, ["trend threshold critical"]),
        ([bad()], 1, []),
        ([bad()], 2, ["trend threshold critical"]),
        ([bad(Severity.WARNING)], 2, ["trend threshold warning"]),
        ([good()], 2, ["trend threshold ok"]),
        ([good()], 3, []),
        ([bad(evidence=Evidence.WEAK)], 3, ["trend threshold not_notified"]),
        ([bad(evidence=Evidence.WEAK)], 4, []),
    ]

    for evaluations, days, expected in states:
        assert desk.written(desk.run(*evaluations, days=days)) == expected, (days, expected)


def test_the_families_of_a_strategy_are_checks_of_their_own(desk: Desk) -> None:
    run = desk.run(
        bad(), good(rule="interval_breach"), good(rule="stale_data"), good(rule="no_such_rule")
    )

    assert desk.written(run) == [
        "trend threshold critical",
        "trend data ok",
        "trend projection ok",
    ]


def test_what_became_bad_is_written_first_and_what_is_left_out_is_counted_and_comes_next(
    desk: Desk,
) -> None:
    desk.run(bad(strategy="carry"), good(strategy="trend"), bad(strategy="vol"))
    desk.environ["ALERT_CATALOG_EVENTS"] = "2"
    second = [good(strategy="carry"), bad(strategy="trend"), bad(strategy="vol")]

    runs = [desk.run(*second, days=1) for _ in range(3)]

    assert [desk.written(run) for run in runs] == [
        ["trend threshold critical", "carry threshold ok"],
        ["vol threshold critical"],
        [],
    ]
    numbers = []
    for run in runs:
        for entry in desk.instance.all_logs(run.run_id):
            if entry.dagster_event and entry.dagster_event.is_successful_output:
                data: Any = entry.dagster_event.event_specific_data
                metadata = data.metadata
                numbers.append((metadata["checks"].value, metadata["checks_left_out"].value))
    assert numbers == [(2, 1), (1, 0), (0, 0)]


def test_errors_go_before_warnings_and_both_before_what_is_well_and_new(desk: Desk) -> None:
    run = desk.run(
        good(strategy="carry"), bad(Severity.WARNING, strategy="trend"), bad(strategy="vol")
    )

    assert desk.written(run) == [
        "vol threshold critical",
        "trend threshold warning",
        "carry threshold ok",
    ]


def test_nothing_is_written_of_an_older_session_nor_of_a_strategy_without_checks(
    desk: Desk,
) -> None:
    desk.run(good(), days=2)

    assert desk.written(desk.run(bad(), days=1)) == []
    assert desk.written(desk.run(bad(), days=2, recorded_only=True)) == []
    assert desk.written(desk.run(bad(strategy="unlisted"), days=3)) == []


def test_events_that_are_switched_off_are_none(desk: Desk) -> None:
    desk.environ["ALERT_CATALOG_EVENTS"] = "0"

    assert desk.written(desk.run(bad())) == []


def test_a_run_that_is_killed_between_two_checks_leaves_nothing_wrong_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluations = [bad(strategy=name) for name in NAMES]
    written: list[str] = []
    log_event = dg.OpExecutionContext.log_event

    def killed(self: Any, each: Any) -> None:
        if isinstance(each, dg.AssetCheckEvaluation) and len(written) == 1:
            raise SystemExit(137)
        if isinstance(each, dg.AssetCheckEvaluation):
            written.append(each.asset_key.path[-1])
        log_event(self, each)

    # On disk, where a killed run leaves what it wrote.
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        desk = Desk(instance, tmp_path / "state")
        with monkeypatch.context() as patched:
            patched.setattr(dg.OpExecutionContext, "log_event", killed)
            with pytest.raises(SystemExit):
                desk.run(*evaluations)

        again = desk.run(*evaluations)
        assert written == ["carry"]
        assert desk.written(again) == ["trend threshold critical", "vol threshold critical"]


def test_the_judged_sessions_are_the_partitions_and_none_is_missing(desk: Desk) -> None:
    desk.judge(judged(good()), judged(good(), as_of=date(2026, 1, 6)))
    desk.run(good(), days=2)
    desk.run(good(), days=2)
    name = sessions_of(DAILY).name
    assert name is not None

    days = ["2026-01-05", "2026-01-06", "2026-01-07"]
    assert desk.instance.get_dynamic_partitions(name) == days
    assert desk.instance.get_materialized_partitions(judged_asset(DAILY)) == set(days)


def test_the_sessions_that_the_version_before_judged_stay_partitions(desk: Desk) -> None:
    asset = judged_asset(DAILY)
    for key in ("2025-12-30", "2025-12-29", "by hand"):
        desk.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=key))

    desk.run(good())

    name = sessions_of(DAILY).name
    assert name is not None
    assert desk.instance.get_dynamic_partitions(name) == ["2025-12-29", "2025-12-30", "2026-01-05"]
    assert "2025-12-29" in desk.instance.get_materialized_partitions(asset)


@pytest.mark.parametrize(("late", "fresh"), [(0, True), (2, True), (3, False)])
def test_the_record_is_materialised_where_it_was_read_up_to_date_and_else_observed(
    desk: Desk, late: int, fresh: bool
) -> None:
    desk.catalog = replace(desk.catalog, newest=date(2026, 1, 5), late=late)
    desk.run(good())

    made = desk.instance.get_latest_materialization_event(RECORD)
    seen = desk.instance.fetch_observations(RECORD, limit=1).records
    assert (made is not None, bool(seen)) == (fresh, not fresh)
    event_log = made or seen[0].event_log_entry
    facts: Any = event_log.asset_materialization or event_log.asset_observation
    assert {name: each.value for name, each in facts.metadata.items()} == {
        "dagster/row_count": 30,
        "strategies": 3,
        "sessions_late": late,
        "newest_row": "2026-01-05",
        "dagster/last_updated_timestamp": 1767571200.0,
    }


def executed(
    instance: dg.DagsterInstance, environ: dict[str, str], keys: list[dg.AssetCheckKey]
) -> dg.ExecuteInProcessResult:
    """As the button of the web UI does."""
    defs = build_definitions(load_settings(environ, None))
    job = defs.resolve_implicit_global_asset_job_def()
    chosen = job.get_subset(asset_check_selection=set(keys), asset_selection=set())
    return chosen.execute_in_process(instance=instance)


def test_to_execute_a_check_shows_the_newest_stored_judgement_and_judges_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    engine = open_engine(f"sqlite:///{state / 'perf_alerts.db'}")
    migrate(engine)
    engine.dispose()
    store = open_store(f"sqlite:///{state / 'perf_alerts.db'}")
    store.record(judged(good()), watermark=MONDAY)
    evening = "evening_performance_check"
    store.record(judged(bad(), alert=evening, as_of=date(2026, 1, 6)), watermark=None)
    store.close()
    listed = {"name": "trend", "group": None, "owner": None, "is_group": False}
    catalog_file(state).write_text(json.dumps({"left_out": 0, "strategies": [listed]}))
    keys = [dg.AssetCheckKey(strategy_asset("trend"), name) for name in ("threshold", "score")]

    assert executed(desk.instance, desk.environ, keys).success

    found = desk.last("trend")
    assert (found.passed, found.metadata["alert"].value) == (False, evening)
    missing = desk.last("trend", "score")
    assert (missing.passed, missing.description) == (False, "No execution has judged it yet.")
    # What it showed counts as written.
    assert desk.written(desk.run(bad(), days=1)) == []
