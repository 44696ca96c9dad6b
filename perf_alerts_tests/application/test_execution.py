import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from perf_alerts_dagster.adapters.calendars import open_calendar
from perf_alerts_dagster.application.execution import Execution, Executor
from perf_alerts_dagster.application.judging import Judging
from perf_alerts_dagster.application.projecting import Projecting
from perf_alerts_dagster.application.reading import Market
from perf_alerts_dagster.domain.alerts import BY_NAME, Alert
from perf_alerts_dagster.domain.errors import RecordsUnavailable, StoreUnavailable, UsageError
from perf_alerts_dagster.domain.evaluation import Outcome
from perf_alerts_dagster.domain.limits import limit_book
from perf_alerts_dagster.domain.record import Dates, RecordFault, StrategyRecord, TrackRecords
from perf_alerts_tests.fakes import FakeAlertStore, FakeRecordsSource, FakeSummaryWriter

DAILY = BY_NAME["daily_pnl_check"]
WEEKLY = BY_NAME["weekly_stability_check"]
MONTHLY = BY_NAME["monthly_forward_test_update"]
FIRST = date(2024, 1, 1)
BACKTEST = 300


def weekdays(count: int) -> Dates:
    return np.busday_offset(np.datetime64(FIRST, "D"), np.arange(count), roll="forward")


def a_strategy(name: str = "trend", rows: int = 420, *, seed: int = 1) -> StrategyRecord:
    returns = np.random.default_rng(seed).normal(0.0005, 0.01, rows)
    live = np.arange(rows) >= BACKTEST
    return StrategyRecord(strategy=name, dates=weekdays(rows), returns=returns, live=live)


def day(place: int) -> date:
    found: date = weekdays(place + 1)[-1].astype(object)
    return found


def after_close(place: int) -> datetime:
    return datetime.combine(day(place), datetime.min.time(), tzinfo=UTC).replace(hour=18)


class Desk:
    """An executor over fakes whose record grows as the test goes on."""

    def __init__(self, *, catch_up: int = 30) -> None:
        self.store = FakeAlertStore()
        self.summaries = FakeSummaryWriter()
        self.catch_up = catch_up

    def run(
        self,
        records: TrackRecords,
        now: datetime,
        *,
        alert: Alert = DAILY,
        as_of: date | None = None,
        run_id: str = "run",
        at_or_before: bool = False,
    ) -> Execution:
        return Executor(
            records=FakeRecordsSource(records),
            store=self.store,
            summaries=self.summaries,
            judging=Judging(
                book=limit_book({}, {}),
                periods_per_year=252,
                max_lag_sessions=2,
                budgets=(0.05, 0.01),
                settings_version="test",
            ),
            projecting=Projecting(
                store=self.store,
                paths=200,
                haircut=0.0,
                periods_per_year=252,
                settings_version="test",
            ),
            market=Market(calendar=open_calendar("record"), own_days=True),
            timezone=ZoneInfo("UTC"),
            catch_up=self.catch_up,
            gate=True,
            settings_content="{}",
        ).execute(alert, as_of=as_of, run_id=run_id, now=now, at_or_before=at_or_before)


def record(rows: int, **changes: float) -> TrackRecords:
    strategy = a_strategy().rows(0, rows)
    returns = strategy.returns.copy()
    for place, value in changes.items():
        returns[int(place.removeprefix("row"))] = value
    made = StrategyRecord(
        strategy="trend", dates=strategy.dates, returns=returns, live=strategy.live
    )
    return TrackRecords(source="test", strategies={"trend": made})


def dates(execution: Execution) -> list[date]:
    return [one.as_of for one in execution.judgements]


def test_the_first_execution_judges_the_last_final_session_and_sets_the_watermark() -> None:
    desk = Desk()

    done = desk.run(record(410), after_close(409))

    assert dates(done) == [day(409)]
    assert desk.store.watermark(DAILY.name) == day(409)


def test_after_an_outage_every_missed_session_is_judged_oldest_first_and_once() -> None:
    desk = Desk()
    desk.run(record(400), after_close(399), run_id="a")

    done = desk.run(record(405), after_close(404), run_id="b")
    again = desk.run(record(405), after_close(404), run_id="c")

    assert dates(done) == [day(place) for place in range(400, 405)]
    assert dates(again) == [day(404)]


def test_an_open_session_is_judged_as_provisional_and_again_when_it_is_final() -> None:
    desk = Desk()
    desk.run(record(400), after_close(399), run_id="a")

    early = desk.run(record(401), after_close(400).replace(hour=12), run_id="b")
    late = desk.run(record(401), after_close(400), run_id="c")

    assert [(one.as_of, one.provisional) for one in early.judgements] == [(day(400), True)]
    assert [(one.as_of, one.provisional) for one in late.judgements] == [(day(400), False)]


def test_an_older_date_is_recorded_only_and_moves_nothing() -> None:
    desk = Desk()
    desk.run(record(410), after_close(409), run_id="a")

    done = desk.run(record(410), after_close(409), as_of=day(400), run_id="b")

    assert done.judgements[0].recorded_only
    assert desk.store.watermark(DAILY.name) == day(409)


def test_a_date_that_is_no_session_is_refused_with_the_range() -> None:
    with pytest.raises(UsageError, match="2024-01-01 to"):
        Desk().run(record(410), after_close(409), as_of=date(2024, 1, 6))


def test_a_tick_on_a_day_without_a_row_takes_the_session_before_it() -> None:
    sunday = date(2024, 1, 7)

    done = Desk().run(
        record(5), datetime(2024, 1, 7, 18, tzinfo=UTC), as_of=sunday, at_or_before=True
    )

    assert dates(done) == [date(2024, 1, 5)]


def test_a_restated_row_is_judged_again_and_says_so() -> None:
    desk = Desk()
    desk.run(record(400), after_close(399), run_id="a")

    done = desk.run(record(401, row398=-0.2), after_close(400), run_id="b")
    quiet = desk.run(record(401, row398=-0.2), after_close(400), run_id="c")

    assert any("restated: final rows of trend changed" in note for note in done.notes)
    assert [one.as_of for one in done.judgements if one.restated]
    assert not any(one.restated for one in quiet.judgements)


def test_the_same_reading_gives_the_same_evaluations() -> None:
    one = Desk().run(record(410), after_close(409)).judgements[0]
    two = Desk().run(record(410), after_close(409)).judgements[0]

    assert one == two


def test_a_strategy_with_faults_is_an_error_and_the_others_are_judged() -> None:
    records = TrackRecords(
        source="test",
        strategies={"trend": a_strategy().rows(0, 410)},
        faults={"carry": (RecordFault(where="daily.csv", row=7, rule="is bad", column="pnl"),)},
    )

    judgement = Desk().run(records, after_close(409)).judgements[0]
    by_strategy = {one.strategy: one.outcome for one in judgement.evaluations}

    assert by_strategy["carry"] is Outcome.ERROR
    assert by_strategy["trend"] is not Outcome.ERROR


def test_a_record_that_stopped_is_no_data_and_never_ok() -> None:
    judgement = Desk().run(record(400), after_close(405)).judgements[-1]

    assert {one.outcome for one in judgement.evaluations} == {Outcome.NO_DATA}


def test_every_execution_writes_its_history_file_clean_ones_too() -> None:
    desk = Desk()
    desk.run(record(410), after_close(409))

    (text,) = desk.summaries.written.values()
    content = json.loads(text)

    assert content["check_name"] == DAILY.name
    assert content["alerts_generated"] == len(content["alert_details"])
    assert content["judged"][0]["outcomes"]["trend"] in ("ok", "breach")


def test_the_daily_check_issues_a_launch_projection_first() -> None:
    desk = Desk()
    desk.run(record(410), after_close(409))

    launched = desk.store.projections(kind="launch", on_or_before=day(409))

    assert launched["trend"].issued_on == day(BACKTEST - 1)
    assert launched["trend"].arrays["bands"].shape == (11, 252)


def test_the_monthly_alert_compares_with_the_month_before() -> None:
    desk = Desk()
    desk.run(record(350), after_close(349), alert=MONTHLY, run_id="a")

    done = desk.run(record(380), after_close(379), alert=MONTHLY, run_id="b")
    (change,) = done.judgements[0].evaluations

    assert change.rule == "forward_test_change"
    assert change.parts["issued_before"] == day(349).isoformat()


def test_the_weekly_alert_scores_the_last_final_session() -> None:
    done = Desk().run(record(410), after_close(409), alert=WEEKLY)

    assert {one.rule for one in done.judgements[0].evaluations} == {
        "walk_forward_stability",
        "out_of_sample_validation",
        "overfitting",
    }


def test_an_unreadable_source_judges_nothing() -> None:
    desk = Desk()
    source = FakeRecordsSource(record(410), error=RecordsUnavailable("away"))

    with pytest.raises(RecordsUnavailable):
        source.load(day(409))
    assert desk.store.watermark(DAILY.name) is None


def test_a_store_that_fails_judges_nothing() -> None:
    desk = Desk()
    desk.store = FakeAlertStore(error=StoreUnavailable("full"))

    with pytest.raises(StoreUnavailable):
        desk.run(record(410), after_close(409))
    assert desk.summaries.written == {}
