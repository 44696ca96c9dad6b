import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from perf_alerts_dagster.control.leases import TTL
from perf_alerts_dagster.core.errors import (
    RecordsUnavailable,
    StoreUnavailable,
    TurnLost,
    UsageError,
)
from perf_alerts_dagster.incidents.lifecycle import Lifecycle
from perf_alerts_dagster.incidents.notification import MessageKind
from perf_alerts_dagster.incidents.notification_settings import NotificationSettings
from perf_alerts_dagster.judging.evaluation import Outcome
from perf_alerts_dagster.records.model import RecordFault, TrackRecords
from perf_alerts_tests.executions.trading_desk import (
    BACKTEST,
    DAILY,
    MONTHLY,
    WEEKLY,
    Desk,
    a_strategy,
    after_close,
    dates,
    day,
    record,
)
from perf_alerts_tests.fakes import FakeAlertStore, FakeLeases, FakeRecordsSource
from perf_alerts_tests.incidents.memory import MemoryIncidents


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

    (text,) = desk.written()
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
    assert desk.written() == []


def test_the_same_date_on_the_same_data_is_recorded_once_and_says_who_did() -> None:
    desk = Desk()
    first = desk.run(record(410), after_close(409), run_id="first")
    # The first daily execution issued the projection that the next ones are judged under.
    desk.run(record(410), after_close(409), run_id="second")

    again = desk.run(record(410), after_close(409), run_id="third")

    assert dates(again) == dates(first) == [day(409)]
    assert again.repeats == {day(409)}
    assert "third" not in {one.run_id for one in desk.store.judgements()}
    assert any("was judged already by run" in note for note in again.notes)


def test_what_a_killed_execution_judged_is_not_judged_again_as_restated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    desk.run(record(408), after_close(407), run_id="before")

    def killed(*_: object) -> None:
        raise StoreUnavailable("stands for a kill right here")

    # It judged two sessions, and died before it remembered the rows that they stood on.
    monkeypatch.setattr(FakeAlertStore, "save_month_hashes", killed)
    with pytest.raises(StoreUnavailable):
        desk.run(record(410), after_close(409), run_id="killed")
    monkeypatch.undo()
    again = desk.run(record(411), after_close(410), run_id="again")

    assert dates(again) == [day(408), day(409), day(410)]
    assert again.repeats == {day(408), day(409)}
    counted = Counter(one.as_of for one in desk.store.judgements(limit=100))
    assert counted == dict.fromkeys([day(407), day(408), day(409), day(410)], 1)


def test_a_date_whose_data_changed_is_recorded_again() -> None:
    desk = Desk()
    desk.run(record(410), after_close(409), run_id="first")

    again = desk.run(record(410, row409=-0.2), after_close(409), run_id="second")

    assert not again.repeats
    assert {one.run_id for one in desk.store.judgements()} == {"first", "second"}


def digests(desk: Desk) -> list[str]:
    """The days of which a digest was made, in order."""
    assert isinstance(desk.incidents, MemoryIncidents)
    return [
        str(one.payload["as_of"])
        for one in desk.incidents.rows.values()
        if one.kind is MessageKind.DIGEST
    ]


def test_a_days_digest_waits_until_the_session_is_over_and_goes_out_once() -> None:
    desk = Desk()
    desk.policy = NotificationSettings(channels=("mail",), digest=True)
    desk.run(record(400), after_close(399), run_id="a")
    assert digests(desk) == [str(day(399))]

    desk.run(record(401), after_close(400).replace(hour=12), run_id="early")
    desk.run(record(400), after_close(399), alert=WEEKLY, run_id="weekly")
    assert digests(desk) == [str(day(399))]
    for run_id in ("evening", "again"):
        desk.run(record(401), after_close(400), run_id=run_id)
    assert digests(desk) == [str(day(399)), str(day(400))]


def test_the_digest_that_a_killed_execution_owes_is_sent_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    desk.policy = NotificationSettings(channels=("mail",), digest=True)

    def killed(*_: object, **__: object) -> None:
        raise StoreUnavailable("stands for a kill right here")

    monkeypatch.setattr(Lifecycle, "digest", killed)
    with pytest.raises(StoreUnavailable):
        desk.run(record(400), after_close(399), run_id="killed")
    monkeypatch.undo()
    desk.run(record(401), after_close(400).replace(hour=12), run_id="early")
    assert digests(desk) == [str(day(399))]


def test_a_schedule_that_was_off_catches_up_nothing_from_that_time() -> None:
    desk = Desk()
    desk.run(record(400), after_close(399))

    done = desk.run(
        record(410), after_close(409), at_or_before=True, switched_on=after_close(407), run_id="on"
    )

    assert dates(done) == [day(408), day(409)]


def test_a_schedule_that_was_always_on_catches_up_everything() -> None:
    desk = Desk()
    desk.run(record(400), after_close(399))

    done = desk.run(
        record(404), after_close(403), at_or_before=True, switched_on=after_close(10), run_id="on"
    )

    assert dates(done) == [day(400), day(401), day(402), day(403)]


def test_a_third_execution_leaves_its_work_to_the_one_that_waits() -> None:
    desk = Desk()
    now = after_close(409)
    desk.leases.acquire(DAILY.name, "runs", now, TTL)
    desk.leases.acquire(DAILY.name, "waits", now, TTL)

    third = desk.run(record(410), now, run_id="third")

    assert third.left_to == "waits"
    assert not third.judgements
    assert not desk.store.judgements()
    assert desk.written() == []


def test_an_execution_that_lost_its_turn_writes_nothing_more() -> None:
    desk = Desk()
    now = after_close(409)

    class Robbed(FakeLeases):
        def renew(self, name: str, owner: str, now: datetime, ttl: timedelta) -> bool:
            return False

    desk.leases = Robbed()
    with pytest.raises(TurnLost, match="another one works now"):
        desk.run(record(410), now)

    assert not desk.store.judgements()
    assert desk.store.watermark(DAILY.name) is None


def test_a_session_that_is_still_open_issues_no_projection() -> None:
    """The first live session issues the launch projection, once it is over."""
    desk = Desk()
    desk.run(record(BACKTEST), after_close(BACKTEST - 1), run_id="a")
    early = after_close(BACKTEST).replace(hour=12)

    done = desk.run(record(BACKTEST + 1), early, run_id="b")
    assert [(one.as_of, one.provisional) for one in done.judgements] == [(day(BACKTEST), True)]
    assert not desk.store.projections(kind="launch", on_or_before=day(BACKTEST))

    desk.run(record(BACKTEST + 1), after_close(BACKTEST), run_id="c")
    assert desk.store.projections(kind="launch", on_or_before=day(BACKTEST)).keys() == {"trend"}


def test_a_catch_up_judges_each_session_as_if_it_were_the_only_one() -> None:
    rng = np.random.default_rng(5)
    flat, gappy, young = (a_strategy(name, 430, seed=9) for name in ("flat", "gappy", "young"))
    flat.returns[rng.random(430) < 0.6] = 0.0
    kept = (rng.random(430) > 0.04) | (np.arange(430) >= 425)
    whole = [
        a_strategy("plain", 430, seed=8),
        flat,
        replace(gappy, dates=gappy.dates[kept], returns=gappy.returns[kept], live=gappy.live[kept]),
        # Goes live in the middle of the sessions that are caught up.
        replace(young, live=np.arange(430) >= 415),
    ]

    def until(place: int) -> TrackRecords:
        cut = [one.until(day(place)) for one in whole]
        return TrackRecords(source="test", strategies={one.strategy: one for one in cut})

    at_once, one_by_one = Desk(), Desk()
    for desk in (at_once, one_by_one):
        desk.run(until(409), after_close(409), run_id="first")
    caught_up = at_once.run(until(429), after_close(429), run_id="late")
    alone = [
        one_by_one.run(until(place), after_close(place), run_id=f"{place}").judgements[-1]
        for place in range(410, 430)
    ]

    assert dates(caught_up) == [one.as_of for one in alone]
    for one, other in zip(caught_up.judgements, alone, strict=True):
        assert one.evaluations == other.evaluations, one.as_of
